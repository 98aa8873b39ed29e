"""Transforms template.yaml as AWS would, without AWS, and measures the results against AWS's limits.

    .cache/sam/bin/python infra/tools/transform.py DIRECTORY

The transform AWS::Serverless is aws-sam-translator, the code that AWS runs. The rest is in this file: the only extension that
the template takes from AWS::LanguageExtensions, conditions in DeletionPolicy and UpdateReplacePolicy; and what CloudFormation
does after the transforms, evaluating conditions and inserting parameters. It does so for each stage, without and with every
option (a domain, a web ACL, reservations, ...), and for each architecture, and writes

    DIRECTORY/templates/*.json   what CloudFormation would deploy; `make check` has cfn-lint read them
    DIRECTORY/policies/*.json    the policy of each role; `make check` has parliament read them

It prints each limit with the largest value and how much is left, and fails if a limit is exceeded.
"""

import copy
import json
import logging
import os
import pathlib
import re
import sys

# The translator asks a session for its Region, nothing else; no call leaves this machine.
os.environ.update(AWS_DEFAULT_REGION="ap-southeast-2", AWS_EC2_METADATA_DISABLED="true", SAM_CLI_TELEMETRY="0")

from samcli.yamlhelper import yaml_parse  # noqa: E402
from samtranslator.translator.transform import transform  # noqa: E402

REGION, ACCOUNT = "ap-southeast-2", "123456789012"
STACK_ARN = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/x/00000000-0000-0000-0000-000000000000"
ROOT = pathlib.Path(__file__).resolve().parents[2]

# A value for each parameter that is empty by default, and for each other one on which a condition depends: what "with every
# option" means.
OPTIONS = {
    "AccessLogs": "off",
    "AlarmEmail": "operator@example.com",
    "AlarmTopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms",
    "BackgroundWork": "disabled",
    "CertificateArn": f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/00000000-0000-0000-0000-000000000000",
    "DomainName": "api.example.com",
    "MailFrom": "carriers@example.com",
    "PublicUrl": "https://api.example.com",
    "SecretPrefix": "carrierlink-another/carrier/",
    "TableName": "carrierlink-restored",
    "TableStreamLabel": "2026-01-02T03:04:05.678",
    "WebAclArn": f"arn:aws:wafv2:{REGION}:{ACCOUNT}:regional/webacl/carrierlink/00000000-0000-0000-0000-000000000000",
    # These are numbers; 0 means none.
    "BackupDays": "90",
    "CarrierReservedConcurrency": "50",
    "RefreshReservedConcurrency": "7",
    "ScheduleReservedConcurrency": "1",
}
# Of two parameters that exclude each other, the one that is not set; and one without which the table of the other has no stream.
EXCLUDED = {"AlarmEmail", "TableStreamLabel"}

NO_VALUE = object()


class NoManagedPolicies:
    """The template names no managed policy by its short name, so AWS's list of them is not needed."""

    def load(self):
        return {}


class Resolver:
    """Does what CloudFormation does to a transformed template: evaluates conditions, inserts parameters.

    With resources, references to resources get values too, as long as they can be; for measuring. Without, they
    stay, for cfn-lint.
    """

    def __init__(self, template, parameters, stack, resources=False):
        self.template, self.stack, self.resources = template, stack, resources
        self.values = {
            **parameters,
            "AWS::AccountId": ACCOUNT,
            "AWS::NoValue": NO_VALUE,
            "AWS::Partition": "aws",
            "AWS::Region": REGION,
            "AWS::StackId": STACK_ARN,
            "AWS::StackName": stack,
            "AWS::URLSuffix": "amazonaws.com",
        }

    def condition(self, node):
        if isinstance(node, str):
            return self.condition(self.template["Conditions"][node])
        (function, argument), = node.items()
        match function:
            case "Fn::Equals":
                left, right = (str(self.value(side)) for side in argument)
                return left == right
            case "Fn::Not":
                return not self.condition(argument[0])
            case "Fn::And":
                return all(self.condition(part) for part in argument)
            case "Fn::Or":
                return any(self.condition(part) for part in argument)
            case "Condition":
                return self.condition(argument)
        raise ValueError(f"transform.py does not know the condition {function}")

    def value(self, node):
        if isinstance(node, list):
            return [made for item in node if (made := self.value(item)) is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (function, argument), = node.items()
            if function == "Ref":
                return self.reference(argument, node)
            if function == "Fn::If":
                return self.value(argument[1] if self.condition(argument[0]) else argument[2])
            if function == "Fn::Sub":
                return self.substitute(argument)
            if function == "Fn::GetAtt" and self.resources:
                return self.attribute(*(argument.split(".", 1) if isinstance(argument, str) else argument))
            if function == "Fn::Split":
                return self.value(argument[1]).split(argument[0])
            if function == "Fn::Select":
                return self.value(argument[1])[int(argument[0])]
            if function == "Fn::Join":
                parts = self.value(argument[1])
                if all(isinstance(part, str) for part in parts):
                    return argument[0].join(parts)
                return {function: [argument[0], parts]}
        return {key: made for key, item in node.items() if (made := self.value(item)) is not NO_VALUE}

    def reference(self, name, node):
        if name in self.values:
            return self.values[name]
        return self.attribute(name, "Ref") if self.resources else node

    def substitute(self, argument):
        text, local = argument if isinstance(argument, list) else (argument, {})
        local = {name: self.value(item) for name, item in local.items()}
        left = False

        def insert(match):
            nonlocal left
            name = match[1]
            if isinstance(local.get(name), str):
                return local[name]
            if name in self.values:
                return str(self.values[name])
            if name.startswith("!"):
                return match[0]
            if self.resources and name not in local:
                return str(self.attribute(*name.split(".", 1)) if "." in name else self.attribute(name, "Ref"))
            left = True
            return match[0]

        text = re.sub(r"\$\{([^}]+)\}", insert, text)
        if not left:
            return text
        return {"Fn::Sub": [text, local] if local else text}

    def attribute(self, name, attribute):
        """Returns a value as long as AWS's own can be: the name that is given, or one that CloudFormation makes."""
        resource = self.template["Resources"][name]
        kind, properties = resource["Type"], resource.get("Properties", {})
        given = {
            "AWS::Lambda::Function": "FunctionName",
            "AWS::SQS::Queue": "QueueName",
            "AWS::Logs::LogGroup": "LogGroupName",
            "AWS::DynamoDB::Table": "TableName",
            "AWS::Events::EventBus": "Name",
        }.get(kind)
        made = f"{self.stack}-{name}-{'X' * 13}"
        if given and given in properties:
            made = self.value(properties[given])
        service = kind.split("::")[1].lower()
        arn = f"arn:aws:{service}:{REGION}:{ACCOUNT}:{made}"
        match kind:
            case "AWS::ApiGateway::RestApi":
                return "a" * 10
            case "AWS::ApiGateway::Stage":
                return properties["StageName"]
            case "AWS::Lambda::Function":
                arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{made}"
            case "AWS::DynamoDB::Table":
                arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{made}"
            case "AWS::Events::EventBus":
                arn = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{made}"
            case "AWS::SecretsManager::Secret":
                # The service secret has no name of its own: CloudFormation's has no stack in it.
                return f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-{'X' * 12}-{'x' * 6}"
            case "AWS::SNS::Topic":
                made = arn
            case "AWS::SQS::Queue" if attribute == "Ref":
                return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{made}"
        return arn if attribute.endswith("Arn") else made

    def deployed(self):
        """Returns the template without what its conditions leave out and without parameters."""
        result = {"AWSTemplateFormatVersion": "2010-09-09", "Description": self.template["Description"]}
        for section in ("Resources", "Outputs"):
            result[section] = {}
            for name, item in self.template[section].items():
                if "Condition" in item and not self.condition(item["Condition"]):
                    continue
                made = self.value(item)
                made.pop("Condition", None)
                if "DependsOn" in made:
                    others = made.pop("DependsOn")
                    others = [other for other in ([others] if isinstance(others, str) else others) if self.exists(other)]
                    if others:
                        made["DependsOn"] = others
                result[section][name] = made
        return result

    def exists(self, name):
        condition = self.template["Resources"][name].get("Condition")
        return condition is None or self.condition(condition)


def parameters_of(template, stage, architecture, options):
    """Returns a value for each parameter: its default or its option, and as long as it may be if a function gets it."""
    values = {}
    for name, parameter in template["Parameters"].items():
        values[name] = str(parameter["Default"])
        if values[name] == "" and name not in OPTIONS:
            raise SystemExit(f"transform.py: {name} is empty by default; give it a value in OPTIONS")
        if options and name in OPTIONS and name not in EXCLUDED:
            values[name] = OPTIONS[name]
        if values[name]:
            values[name] = values[name].ljust(int(parameter.get("MaxLength", 0)), "x")
    values.update(Stage=stage, Architecture=architecture)
    if not options and stage != "local" and "AlarmEmail" in values:
        values["AlarmEmail"] = OPTIONS["AlarmEmail"]
    return values


def transformed(template, parameters, stack):
    """Returns what the two transforms make of the packaged template."""
    resolver = Resolver(template, parameters, stack)
    for resource in template["Resources"].values():
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            if policy in resource:
                resource[policy] = resolver.value(resource[policy])
    template.pop("Transform")
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # sam uploads the functions to a bucket of its own and puts their addresses here.
            resource["Properties"]["CodeUri"] = f"s3://aws-sam-cli-managed-default-samclisourcebucket-{'x' * 12}/{'0' * 32}"
    return transform(template, parameters, NoManagedPolicies())


def stack_name_limit(template):
    """Returns the length of the longest name that the stack may have: the names of the functions begin with it."""
    longest = max(
        len(resource["Properties"]["FunctionName"]["Fn::Sub"].replace("${AWS::StackName}", ""))
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::Serverless::Function"
    )
    return 64 - longest


class Limits:
    """The limits with the largest value that was seen of each."""

    def __init__(self):
        self.rows = {}

    def see(self, name, limit, value, where=""):
        if name not in self.rows or value > self.rows[name][1]:
            self.rows[name] = (limit, value, where)

    def report(self):
        print(f"{'limit':46} {'of AWS':>9} {'largest':>9} {'left':>9}")
        for name, (limit, value, where) in self.rows.items():
            print(f"{name:46} {limit:9,} {value:9,} {limit - value:9,}  {where}".rstrip())
        over = [name for name, (limit, value, _) in self.rows.items() if value > limit]
        for name in over:
            print(f"over the limit: {name}")
        return not over


def compact(document):
    return json.dumps(document, separators=(",", ":"))


def see_names(limits, resources):
    for name, (kind, member, limit) in {
        "name of a function": ("AWS::Lambda::Function", "FunctionName", 64),
        "name of a log group": ("AWS::Logs::LogGroup", "LogGroupName", 512),
        "name of a queue": ("AWS::SQS::Queue", "QueueName", 80),
        # CloudFormation makes the names that are not given, and shortens them.
        "name of a role (CloudFormation's own: cut)": ("AWS::IAM::Role", "RoleName", 64),
        "name of a topic": ("AWS::SNS::Topic", "TopicName", 256),
        "name of a dashboard": ("AWS::CloudWatch::Dashboard", "DashboardName", 255),
        "name of an alarm": ("AWS::CloudWatch::Alarm", "AlarmName", 255),
    }.items():
        for logical, resource in resources.items():
            if resource["Type"] == kind:
                limits.see(name, limit, len(resource["Properties"].get(member, "")), logical)


def see_functions(limits, resources):
    policies = {}
    for logical, resource in resources.items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Lambda::Permission":
            policies.setdefault(properties["FunctionName"], []).append({
                # CloudFormation makes the statement's id; a longer one than this is refused.
                "Sid": "x" * 100,
                "Effect": "Allow",
                "Principal": {"Service": properties["Principal"]},
                "Action": properties["Action"],
                "Resource": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{properties['FunctionName']}",
                "Condition": {"ArnLike": {"AWS:SourceArn": properties.get("SourceArn", "")}},
            })
        if resource["Type"] == "AWS::Lambda::Function":
            variables = properties.get("Environment", {}).get("Variables", {})
            size = sum(len(name) + len(str(value)) for name, value in variables.items())
            limits.see("environment of a function, bytes", 4096, size, logical)
            limits.see("description of a function", 256, len(properties.get("Description", "")), logical)
    for function, statements in policies.items():
        document = {"Version": "2012-10-17", "Id": "default", "Statement": statements}
        limits.see("resource policy of a function, bytes", 20480, len(compact(document)), f"{len(statements)} statements, {function[-24:]}")


def see_roles(limits, resources):
    for logical, resource in resources.items():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        properties = resource["Properties"]
        size = sum(len(compact(policy["PolicyDocument"])) for policy in properties.get("Policies", []))
        limits.see("inline policies of a role, characters", 10240, size, logical)
        limits.see("trust policy of a role, characters", 2048, len(compact(properties["AssumeRolePolicyDocument"])), logical)
        limits.see("managed policies of a role", 10, len(properties.get("ManagedPolicyArns", [])), logical)


def see_alarms(limits, resources):
    alarms = {name: resource["Properties"] for name, resource in resources.items() if resource["Type"] == "AWS::CloudWatch::Alarm"}
    watched = 0
    for logical, properties in alarms.items():
        metrics = sum("MetricStat" in query for query in properties.get("Metrics", [])) or 1
        watched += metrics
        limits.see("metrics of an alarm's expression", 10, metrics, logical)
        limits.see("actions of an alarm", 5, max(len(properties.get(member, [])) for member in ("AlarmActions", "OKActions")), logical)
        limits.see("description of an alarm", 1024, len(properties.get("AlarmDescription", "")), logical)
    limits.see("alarms (a limit of ours)", 21, len(alarms), f"they watch {watched} metrics")


def see_dashboards(limits, resources):
    for logical, resource in resources.items():
        if resource["Type"] == "AWS::CloudWatch::Dashboard":
            widgets = json.loads(resource["Properties"]["DashboardBody"])["widgets"]
            limits.see("widgets of a dashboard", 500, len(widgets), logical)
            metrics = [len(widget["properties"].get("metrics", [])) for widget in widgets]
            limits.see("metrics of a widget", 500, max(metrics), logical)
            limits.see("metrics of a dashboard", 2500, sum(metrics), logical)


def see_api(limits, resources):
    for logical, resource in resources.items():
        if resource["Type"] == "AWS::ApiGateway::RestApi":
            paths = {
                "/".join(path.split("/")[:depth])
                for path in resource["Properties"]["Body"]["paths"]
                for depth in range(1, path.count("/") + 2)
            }
            limits.see("resources of an API", 300, len(paths), logical)
            limits.see("definition of an API, bytes", 6 * 1024 * 1024, len(compact(resource["Properties"]["Body"])), logical)


def see_variant(limits, name, template, source, parameters, deployed, measured):
    """Sees what one deployment needs.

    The limits are those of "Understand CloudFormation quotas", "Lambda quotas", "IAM and AWS STS quotas", "CloudWatch
    service quotas" and "Amazon API Gateway quotas" of AWS's documentation, read in November 2026.
    """
    limits.see("resources", 500, len(deployed["Resources"]), name)
    limits.see("outputs", 200, len(deployed["Outputs"]), name)
    limits.see("parameters", 200, len(template["Parameters"]), "")
    limits.see("value of a parameter, bytes", 4096, max(len(value) for value in parameters.values()), "")
    limits.see("description of the template, bytes", 1024, len(template["Description"]), "")
    # sam puts the template into a bucket, always: 51,200 bytes are the limit of a template in the request itself.
    limits.see("template in a bucket, bytes", 1_000_000, len(source), "")
    limits.see("template after the transforms, bytes", 1_000_000, len(compact(template)), name)
    resources = measured["Resources"]
    see_names(limits, resources)
    see_functions(limits, resources)
    see_roles(limits, resources)
    see_alarms(limits, resources)
    see_dashboards(limits, resources)
    see_api(limits, resources)


def write(directory, name, document):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")


def policies(variant, resources):
    """Returns the policies of the roles of a variant, each by a name of its own."""
    return {
        f"{variant}-{logical}-{index}": policy["PolicyDocument"]
        for logical, resource in resources.items()
        if resource["Type"] == "AWS::IAM::Role"
        for index, policy in enumerate(resource["Properties"].get("Policies", []))
    }


class Coverage:
    """Which values each condition of the template had."""

    def __init__(self):
        self.seen = {}

    def see(self, resolver, conditions):
        for name in conditions:
            self.seen.setdefault(name, set()).add(resolver.condition(name))

    def report(self):
        """Prints the conditions that were never true, or never false: what depends on that was never transformed."""
        missing = [f"{name} is never {value}" for name, values in self.seen.items() for value in (True, False) if value not in values]
        for line in missing:
            print(f"the condition {line}: give a parameter another value in OPTIONS")
        return not missing


def main(directory):
    logging.disable(logging.CRITICAL)
    source = (ROOT / "template.yaml").read_text()
    original = yaml_parse(source)
    longest = stack_name_limit(original)
    limits, coverage = Limits(), Coverage()
    count = 0
    for stage in original["Parameters"]["Stage"]["AllowedValues"]:
        for options in (False, True):
            for architecture in original["Parameters"]["Architecture"]["AllowedValues"]:
                name = f"{stage}-{'options' if options else 'plain'}-{architecture}"
                parameters = parameters_of(original, stage, architecture, options)
                stack = "x" * longest
                template = transformed(copy.deepcopy(original), parameters, stack)
                resolver = Resolver(template, parameters, stack)
                coverage.see(resolver, original["Conditions"])
                deployed = resolver.deployed()
                write(directory / "templates", name, deployed)
                measured = Resolver(template, parameters, stack, resources=True).deployed()
                see_variant(limits, name, template, source, parameters, deployed, measured)
                for file, policy in policies(name, measured["Resources"]).items():
                    write(directory / "policies", file, policy)
                count += 1
    print(f"{count} deployments were transformed, for stacks with names of up to {longest} characters")
    covered = coverage.report()
    return limits.report() and covered


if __name__ == "__main__":
    sys.exit(0 if main(pathlib.Path(sys.argv[1])) else 1)
