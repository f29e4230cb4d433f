"""The health check of the service image: does the service here answer that it lives?

It asks /health/live, not /health/ready: Swarm ends a task that is not healthy, and a service that
waits for Redis must not be ended for it.
"""

import os
import ssl
import sys
import urllib.request

listen = os.environ["HEADRACE_LISTEN"]
port = listen.rpartition(":")[2]
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE  # it asks itself: no name and no issuer to check
scheme = "https" if os.environ.get("HEADRACE_TLS_CERT_FILE") else "http"
opener = urllib.request.build_opener(
    urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
)
try:
    with opener.open(f"{scheme}://127.0.0.1:{port}/health/live", timeout=3) as answer:
        answer.read()
except OSError as error:
    sys.exit(f"port {port} does not answer: {error}")
