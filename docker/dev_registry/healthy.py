"""The health check of the registry: does it answer?"""

import sys
import urllib.request

opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
try:
    with opener.open("http://127.0.0.1:5000/v2/", timeout=3) as answer:
        answer.read()
except OSError as error:
    sys.exit(f"port 5000 does not answer: {error}")
