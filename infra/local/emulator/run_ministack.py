"""Starts MiniStack 1.5.33 for the local stack, with seven changes to private names; therefore the version is pinned.

1. The Lambda Runtime API sends small packets at once, which saves about 40 ms a call.
2. An invocation that logs nothing does not wait 50 ms for output.
3. Every line that a function prints is appended to FUNCTION_LOGS/<function name>.log at once; CloudWatch gets it only
   with the next invocation.
4. MaximumConcurrency of an event source may come from a template's parameter: as a string it stopped every poller.
5. IAM checks sqs:SendMessage for SendMessageBatch, as AWS does, which has no action of that name.
6. IAM checks ses:SendEmail for the identity of the sender; MiniStack knows no resource of it.
7. What IAM allows is appended, once, to iam-actions.log beside FUNCTION_LOGS: principal, action, resource.
"""

import json
import os
import socketserver
import sys

from ministack.core import iam_actions, iam_evaluator, lambda_runtime
from ministack.services import lambda_svc

socketserver.StreamRequestHandler.disable_nagle_algorithm = True

drain = lambda_runtime.Worker._drain_stderr_bounded
pump = lambda_runtime.ProvidedWorker._pump_output
concurrency = lambda_svc._sqs_esm_concurrency
action = iam_actions.extract_iam_action
resource = iam_actions.extract_resource_arn
evaluate = iam_evaluator.evaluate
allowed = set()


def drain_soon(self, first_line_wait=0.003, idle_confirm=0.002, hard_cap=0.25):
    return drain(self, first_line_wait, idle_confirm, hard_cap)


class Tee:
    """A stream whose lines are also appended to a file."""

    def __init__(self, stream, path):
        self.stream = stream
        self.file = open(path, "ab", buffering=0)

    def readline(self):
        line = self.stream.readline()
        self.file.write(line)
        return line

    def close(self):
        self.file.close()
        self.stream.close()


def pump_and_keep(self, stream, log_queue):
    path = os.path.join(os.environ["FUNCTION_LOGS"], self.func_name + ".log")
    return pump(self, Tee(stream, path), log_queue)


def concurrency_of_number(mapping, *args):
    scaling = mapping.get("ScalingConfig")
    if scaling:
        mapping["ScalingConfig"] = {name: int(value) for name, value in scaling.items()}
    return concurrency(mapping, *args)


def action_of_batch(service, *args):
    name = action(service, *args)
    return name.removesuffix("Batch") if service == "sqs" and name else name


def resource_of_mail(service, method, path, headers, body, query, region, account, *args):
    if service == "ses" and path == "/v2/email/outbound-emails":
        sender = json.loads(body)["FromEmailAddress"].rpartition("<")[2].rstrip(">")
        return f"arn:aws:ses:{region}:{account}:identity/{sender}"
    return resource(service, method, path, headers, body, query, region, account, *args)


def evaluate_and_keep(request, *args):
    result = evaluate(request, *args)
    line = f"{request.principal_arn} {request.action} {request.resource_arn}\n"
    if result.decision == "Allow" and line not in allowed:
        allowed.add(line)
        with open(os.path.join(os.path.dirname(os.environ["FUNCTION_LOGS"]), "iam-actions.log"), "a") as file:
            file.write(line)
    return result


lambda_runtime.Worker._drain_stderr_bounded = drain_soon
lambda_runtime.ProvidedWorker._pump_output = pump_and_keep
lambda_svc._sqs_esm_concurrency = concurrency_of_number
iam_actions.extract_iam_action = action_of_batch
iam_actions.extract_resource_arn = resource_of_mail
iam_evaluator.evaluate = evaluate_and_keep

if __name__ == "__main__":
    from ministack.app import main

    sys.argv = ["ministack"]
    sys.exit(main())
