"""Prometheus metrics that all services share; one registry a process."""

from prometheus_client import Counter, Gauge, Histogram

TRANSITIONS = Counter("headrace_transitions", "Transitions that were applied.", ["role", "event"])
REFUSALS = Counter("headrace_refusals", "Moves that Redis refused.", ["role", "code"])
LEADING = Gauge("headrace_leading", "1 while this process leads the role.", ["role"])
JOBS = Gauge("headrace_jobs", "Jobs by status.", ["status"])
NODES = Gauge("headrace_nodes", "Nodes by state.", ["state"])
OFFERED = Gauge("headrace_offered", "What the nodes that are not lost have.", ["resource"])
FREE = Gauge("headrace_free", "What of it is free for attempts.", ["resource"])
DELIVERIES = Counter("headrace_webhook_deliveries", "Messages to webhooks.", ["outcome"])
MAINTENANCE = Gauge("headrace_maintenance", "1 while an admin keeps new work away.")
SOCKETS = Gauge("headrace_sockets", "WebSockets that are open, of known callers.")
HTTP_REQUESTS = Counter(
    "headrace_http_requests", "HTTP requests answered.", ["service", "method", "route", "status"]
)
HTTP_SECONDS = Histogram(
    "headrace_http_seconds", "Time to answer an HTTP request.", ["service", "route"]
)
