"""The health check of the object store: does its gateway answer that it lives?"""

import sys
import urllib.request

opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
try:
    with opener.open("http://127.0.0.1:9000/minio/health/live", timeout=3) as answer:
        answer.read()
except OSError as error:
    sys.exit(f"port 9000 does not answer: {error}")
