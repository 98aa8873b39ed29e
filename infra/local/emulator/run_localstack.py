"""Starts LocalStack 4.14.0 for the local stack, with three parts replaced so that it needs neither Docker nor a download.

- Lambda: a function is its `bootstrap`, run as a child process that speaks the Lambda Runtime API with this process.
  Its output is appended to FUNCTION_LOGS/<function name>.log. There is no memory limit.
- SES: functions send mails to FUNCTION_MAIL_URL, if it is set, because LocalStack has no SES v2.
- DynamoDB: Amazon's DynamoDB Local from the jars in DYNAMODB_JARS. It listens on every interface, because it has no
  option to restrict that. Without DYNAMODB_JARS (in LocalStack's own image) LocalStack starts its own copy.

Children stay in this process's group, so that one signal to the group ends them all.
"""

import collections
import http.server
import json
import os
import queue
import subprocess
import threading
import time

from localstack.runtime.main import main
from localstack.services.dynamodb.server import DynamodbServer
from localstack.services.lambda_ import provider
from localstack.services.lambda_.invocation import execution_environment, runtime_executor, version_manager
from localstack.services.lambda_.invocation.lambda_models import InvocationResult
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor
from localstack.utils.serving import Server

INIT_SECONDS = 20
RUNTIME_API = "/2018-06-01/runtime/"


class RuntimeAPI(http.server.ThreadingHTTPServer):
    """The Lambda Runtime API of one function process, on a port of its own."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), RuntimeAPIHandler)
        self.ready = threading.Event()
        self.init_error = None
        self.invocations = queue.Queue()
        self.results = queue.Queue()


class RuntimeAPIHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: RuntimeAPI

    def do_GET(self):
        if self.path != RUNTIME_API + "invocation/next":
            return self.answer(404)
        self.server.ready.set()
        invocation = self.server.invocations.get()
        if invocation is None:
            return
        self.answer(
            200,
            invocation["payload"].encode(),
            {
                "Content-Type": "application/json",
                "Lambda-Runtime-Aws-Request-Id": invocation["invoke-id"],
                "Lambda-Runtime-Invoked-Function-Arn": invocation["invoked-function-arn"],
                "Lambda-Runtime-Trace-Id": invocation["trace-id"],
                "Lambda-Runtime-Deadline-Ms": str(int(invocation["deadline"] * 1000)),
            },
        )

    def do_POST(self):
        body = self.body()
        if self.path == RUNTIME_API + "init/error":
            self.server.init_error = body
            self.server.ready.set()
            return self.answer(202)
        _, _, rest = self.path.partition(RUNTIME_API + "invocation/")
        request_id, _, kind = rest.partition("/")
        if kind not in ("response", "error"):
            return self.answer(404)
        self.server.results.put((request_id, kind == "error", body))
        self.answer(202)

    def body(self):
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def answer(self, status, body=b"", headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class HostExecutor(RuntimeExecutor):
    """Runs one environment of a provided.* function as a process of this host."""

    def __init__(self, id, function_version):
        super().__init__(id, function_version)
        self.api = None
        self.process = None
        self.env = None
        self.lines = collections.deque(maxlen=10_000)

    def start(self, env_vars):
        code = str(self.function_version.config.code.get_unzipped_code_location())
        self.api = RuntimeAPI()
        threading.Thread(target=self.api.serve_forever, daemon=True).start()
        self.env = {name: str(value) for name, value in env_vars.items()} | {
            "PATH": os.environ["PATH"],
            "TZ": "UTC",
            "LAMBDA_TASK_ROOT": code,
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.api.server_port}",
        }
        if mail_url := os.environ.get("FUNCTION_MAIL_URL"):
            self.env["AWS_ENDPOINT_URL_SESV2"] = mail_url
        self.process = subprocess.Popen(
            [os.path.join(code, "bootstrap")],
            cwd=code,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        threading.Thread(target=self.keep_output, args=(self.process.stdout,), daemon=True).start()
        deadline = time.monotonic() + INIT_SECONDS
        while not self.api.ready.wait(0.05):
            if self.process.poll() is not None or time.monotonic() > deadline:
                break
        if self.api.init_error is not None or not self.api.ready.is_set():
            self.stop()
            raise RuntimeError(f"bootstrap did not start: {self.api.init_error or self.get_logs()!r}")

    def keep_output(self, stream):
        name = self.function_version.id.function_name + ".log"
        with stream, open(os.path.join(os.environ["FUNCTION_LOGS"], name), "ab", buffering=0) as file:
            for line in stream:
                file.write(line)
                self.lines.append(line)

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.api.invocations.put(None)
            self.api.shutdown()
            self.api.server_close()

    def invoke(self, payload):
        if self.process.poll() is not None:  # it has ended: like AWS, start another one
            self.stop()
            self.start(self.env)
        timeout = int(self.function_version.config.timeout)
        deadline = time.time() + timeout
        self.api.invocations.put(payload | {"deadline": deadline})
        while True:
            try:
                request_id, is_error, body = self.api.results.get(timeout=0.05)
                if request_id == payload["invoke-id"]:
                    return InvocationResult(request_id, body, is_error=is_error, logs=self.get_logs())
            except queue.Empty:
                if self.process.poll() is not None:
                    return self.failed(payload, "Runtime.ExitError", "Runtime exited without providing a reason")
                if time.time() > deadline:
                    self.process.kill()
                    self.process.wait()
                    return self.failed(payload, "Sandbox.Timedout", f"Task timed out after {timeout}.00 seconds")

    def failed(self, payload, kind, message):
        body = json.dumps({"errorType": kind, "errorMessage": f"RequestId: {payload['invoke-id']} Error: {message}"})
        return InvocationResult(payload["invoke-id"], body.encode(), is_error=True, logs=self.get_logs())

    def get_logs(self):
        """Returns what the function printed since the last call."""
        lines = [self.lines.popleft() for _ in range(len(self.lines))]
        return b"".join(lines).decode(errors="replace")

    def get_address(self):
        return "127.0.0.1"

    def get_endpoint_from_executor(self):
        return "127.0.0.1"

    def get_runtime_endpoint(self):
        return f"http://127.0.0.1:{self.api.server_port}" if self.api else ""

    @classmethod
    def prepare_version(cls, function_version):
        function_version.config.code.prepare_for_execution()

    @classmethod
    def cleanup_version(cls, function_version):
        pass


def run_dynamodb(self):
    """Runs DynamoDB Local instead of the copy that LocalStack would download."""
    jars = os.environ["DYNAMODB_JARS"]
    self.process = subprocess.Popen(
        [
            "java",
            "-Xmx256m",
            f"-Djava.library.path={jars}",
            f"-Dsqlite4java.library.path={jars}",
            "-cp",
            f"{jars}/*",
            "software.amazon.dynamodb.services.local.main.ServerRunner",
            "-inMemory",
            "-disableTelemetry",
            "-port",
            str(self.port),
        ],
        stdin=subprocess.DEVNULL,
    )
    self.process.wait()


for module in (runtime_executor, execution_environment, version_manager, provider):
    module.get_runtime_executor = lambda: HostExecutor

if "DYNAMODB_JARS" in os.environ:
    DynamodbServer.do_start_thread = Server.do_start_thread
    DynamodbServer.do_run = run_dynamodb
    DynamodbServer.do_shutdown = lambda self: self.process.kill()

if __name__ == "__main__":
    main()
