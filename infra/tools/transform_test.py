"""Tests of transform.py: `make check` runs them before it believes what transform.py measures."""

import contextlib
import io
import unittest

import transform

TEMPLATE = {
    "Description": "test",
    "Conditions": {
        "Local": {"Fn::Equals": [{"Ref": "Stage"}, "local"]},
        "Remote": {"Fn::Not": [{"Condition": "Local"}]},
        "Both": {"Fn::And": [{"Condition": "Local"}, {"Condition": "Remote"}]},
        "Either": {"Fn::Or": [{"Condition": "Local"}, {"Condition": "Remote"}]},
    },
    "Resources": {
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Fn::Sub": "${AWS::StackName}-q"}}},
        "Alarm": {"Type": "AWS::CloudWatch::Alarm", "Condition": "Remote", "Properties": {}},
        "Function": {
            "Type": "AWS::Lambda::Function",
            "DependsOn": ["Alarm", "Queue"],
            "Properties": {
                "FunctionName": {"Fn::Sub": "${AWS::StackName}-f"},
                "Reserved": {"Fn::If": ["Remote", {"Ref": "Count"}, {"Ref": "AWS::NoValue"}]},
                "Queue": {"Fn::GetAtt": ["Queue", "Arn"]},
                "Url": {"Ref": "Queue"},
                "Index": {"Fn::Sub": "${Queue.Arn}/${Stage}/${!Literal}"},
            },
        },
        "Api": {"Type": "AWS::ApiGateway::RestApi", "DependsOn": "Alarm"},
    },
    "Outputs": {"Alarm": {"Condition": "Remote", "Value": {"Ref": "Alarm"}}},
}


def resolved(stage, resources):
    return transform.Resolver(TEMPLATE, {"Stage": stage, "Count": "5"}, "stack", resources).deployed()


class Resolve(unittest.TestCase):
    def test_conditions(self):
        resolver = transform.Resolver(TEMPLATE, {"Stage": "local"}, "stack")
        got = {name: resolver.condition(name) for name in TEMPLATE["Conditions"]}
        self.assertEqual(got, {"Local": True, "Remote": False, "Both": False, "Either": True})
        with self.assertRaises(ValueError):
            resolver.condition({"Fn::Unknown": []})

    def test_left_out(self):
        local, remote = resolved("local", False), resolved("production", False)
        self.assertEqual(list(local["Resources"]), ["Queue", "Function", "Api"])
        self.assertEqual(local["Resources"]["Function"]["DependsOn"], ["Queue"])
        self.assertNotIn("DependsOn", local["Resources"]["Api"])
        self.assertNotIn("Reserved", local["Resources"]["Function"]["Properties"])
        self.assertEqual(local["Outputs"], {})
        self.assertEqual(list(remote["Resources"]), ["Queue", "Alarm", "Function", "Api"])
        self.assertEqual(remote["Resources"]["Api"]["DependsOn"], ["Alarm"])
        self.assertEqual(remote["Resources"]["Function"]["Properties"]["Reserved"], "5")

    def test_references(self):
        kept = resolved("local", False)["Resources"]["Function"]["Properties"]
        self.assertEqual(kept["FunctionName"], "stack-f")
        self.assertEqual(kept["Queue"], {"Fn::GetAtt": ["Queue", "Arn"]})
        self.assertEqual(kept["Index"], {"Fn::Sub": "${Queue.Arn}/local/${!Literal}"})
        made = resolved("local", True)["Resources"]["Function"]["Properties"]
        self.assertEqual(made["Queue"], "arn:aws:sqs:ap-southeast-2:123456789012:stack-q")
        self.assertEqual(made["Url"], "https://sqs.ap-southeast-2.amazonaws.com/123456789012/stack-q")


class Measure(unittest.TestCase):
    def test_over_a_limit(self):
        for value, fine in ((10, True), (11, False)):
            limits = transform.Limits()
            limits.see("things", 10, 3)
            limits.see("things", 10, value, "there")
            limits.see("things", 10, 4)
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                self.assertEqual(limits.report(), fine)
            self.assertIn("there", out.getvalue())

    def test_sizes(self):
        limits = transform.Limits()
        transform.see_functions(limits, {
            "F": {"Type": "AWS::Lambda::Function", "Properties": {"Environment": {"Variables": {"NAME": "x" * 5000}}}},
            "P": {"Type": "AWS::Lambda::Permission", "Properties": {
                "FunctionName": "f", "Principal": "apigateway.amazonaws.com", "Action": "lambda:InvokeFunction", "SourceArn": "a" * 21000,
            }},
        })
        transform.see_roles(limits, {"R": {"Type": "AWS::IAM::Role", "Properties": {
            "AssumeRolePolicyDocument": {}, "Policies": [{"PolicyDocument": "x" * 6000}, {"PolicyDocument": "x" * 6000}],
        }}})
        transform.see_alarms(limits, {f"A{i}": {"Type": "AWS::CloudWatch::Alarm", "Properties": {
            "Metrics": [{"MetricStat": {}}] * 11 + [{"Expression": "SUM(METRICS())"}],
        }} for i in range(22)})
        transform.see_names(limits, {"F": {"Type": "AWS::Lambda::Function", "Properties": {"FunctionName": "x" * 65}}})
        over = {name for name, (limit, value, _) in limits.rows.items() if value > limit}
        self.assertEqual(over, {
            "environment of a function, bytes", "resource policy of a function, bytes", "inline policies of a role, characters",
            "metrics of an alarm's expression", "alarms (a limit of ours)", "name of a function",
        })

    def test_dashboard(self):
        def dashboard(body):
            limits = transform.Limits()
            transform.see_dashboards(limits, {"D": {"Type": "AWS::CloudWatch::Dashboard", "Properties": {"DashboardBody": body}}})
            return [row[1] for row in limits.rows.values()]

        self.assertEqual(dashboard('{"widgets":[{"properties":{"metrics":[1,2]}},{"properties":{"markdown":"#"}}]}'), [2, 2, 2])
        with self.assertRaises(ValueError):
            dashboard('{"widgets":[}')

    def test_policies_of_each_variant(self):
        resources = {
            "Queue": {"Type": "AWS::SQS::Queue"},
            "Role": {"Type": "AWS::IAM::Role", "Properties": {"Policies": [{"PolicyDocument": 1}, {"PolicyDocument": 2}]}},
        }
        found = {**transform.policies("plain", resources), **transform.policies("options", resources)}
        self.assertEqual(found, {"plain-Role-0": 1, "plain-Role-1": 2, "options-Role-0": 1, "options-Role-1": 2})

    def test_a_condition_that_is_always_true(self):
        coverage = transform.Coverage()
        for stage, want in (("local", False), ("production", True)):
            coverage.see(transform.Resolver(TEMPLATE, {"Stage": stage}, "stack"), ["Local", "Remote"])
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                self.assertEqual(coverage.report(), want)
            self.assertEqual("Local is never False" in out.getvalue(), not want)

    def test_a_parameter_without_an_example(self):
        with self.assertRaises(SystemExit):
            transform.parameters_of({"Parameters": {"New": {"Default": ""}}}, "staging", "arm64", True)


if __name__ == "__main__":
    unittest.main()
