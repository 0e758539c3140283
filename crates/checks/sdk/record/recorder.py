"""Answers every request with `{}` and writes it down, one JSON object a line.

Usage: recorder.py RECORDING.jsonl; prints the base URL to aim an SDK's suite at.
"""

import base64
import http.server
import json
import sys
import threading

recording = open(sys.argv[1], "a", encoding="utf-8")
lock = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def body(self):
        if not self.headers.get("transfer-encoding"):
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        whole = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def answer(self):
        row = {
            "method": self.command,
            "path": self.path,
            "type": self.headers.get("content-type"),
            "body": base64.b64encode(self.body()).decode(),
        }
        with lock:
            recording.write(json.dumps(row) + "\n")
            recording.flush()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = answer


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
