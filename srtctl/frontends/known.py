"""The flags of frontends, as their `--help` prints them. Which release an image holds shows only when it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from srtctl.backends.flags import canonical
from srtctl.errors import Problem, Severity


@dataclass(frozen=True)
class Known:
    """What a program's `--help` says.

    Attributes:
        program: Its name with the releases that were asked.
        names: Its flags, without dashes in front.
        negatable: Those that exist with `no-` in front, too.
        choices: Flag -> the values that it takes.
    """

    program: str
    names: frozenset[str]
    negatable: frozenset[str] = frozenset()
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def problems(self, args: Mapping[str, Any]) -> list[Problem]:
        """Flags under `frontend.args` that these releases lack, and values that they refuse: warnings."""
        found = []
        for written, value in args.items():
            name, key = canonical(written), f"frontend.args.{written}"
            if name not in self.names and not (name.startswith("no-") and name[3:] in self.negatable):
                found.append(self._doubt(f"{self.program} has no such flag", key, value))
            elif str(value).isprintable() and value not in self.choices.get(name, (value,)):
                allowed = ", ".join(self.choices[name])
                found.append(self._doubt(f"{self.program} does not take this value", key, value, allowed))
        return found

    def _doubt(self, text: str, key: str, value: Any, allowed: str = "") -> Problem:
        return Problem("frontend-flag", text, key, value, allowed, severity=Severity.WARNING)


_POLICIES = ("random", "round_robin", "cache_aware", "power_of_two", "manual")

ROUTER = Known(
    "sglang-router 0.3.2",
    frozenset(
        """
    api-key assignment-mode backend balance-abs-threshold balance-rel-threshold bucket-adjust-interval-secs
    ca-cert-paths cache-threshold cb-failure-threshold cb-success-threshold cb-timeout-duration-secs
    cb-window-duration-secs chat-template client-cert-path client-key-path control-plane-api-keys
    control-plane-audit-enabled cors-allowed-origins decode decode-policy decode-selector
    disable-circuit-breaker disable-health-check disable-retries dp-aware enable-igw enable-trace
    eviction-interval-secs health-check-endpoint health-check-interval-secs health-check-timeout-secs
    health-failure-threshold health-success-threshold history-backend host jwt-audience jwt-issuer jwt-jwks-uri
    jwt-role-mapping log-dir log-level max-concurrent-requests max-idle-secs max-payload-size max-tree-size
    mcp-config-path mini-lb model-path oracle-connect-descriptor oracle-password oracle-pool-max oracle-pool-min
    oracle-pool-timeout-secs oracle-tns-alias oracle-username oracle-wallet-path otlp-traces-endpoint
    pd-disaggregation policy port postgres-db-url postgres-pool-max prefill prefill-policy prefill-selector
    prometheus-duration-buckets prometheus-host prometheus-port queue-size queue-timeout-secs
    rate-limit-tokens-per-second reasoning-parser redis-pool-max redis-retention-days redis-url
    request-id-headers request-timeout-secs retry-backoff-multiplier retry-initial-backoff-ms
    retry-jitter-factor retry-max-backoff-ms retry-max-retries selector service-discovery
    service-discovery-namespace service-discovery-port shutdown-grace-period-secs tls-cert-path tls-key-path
    tokenizer-cache-enable-l0 tokenizer-cache-enable-l1 tokenizer-cache-l0-max-entries
    tokenizer-cache-l1-max-memory tokenizer-path tool-call-parser worker-startup-check-interval
    worker-startup-timeout-secs worker-urls
    """.split()
    ),
    choices={
        "policy": _POLICIES,
        "prefill-policy": (*_POLICIES, "bucket"),
        "decode-policy": _POLICIES,
        "log-level": ("debug", "info", "warn", "error"),
        "assignment-mode": ("random", "min_load", "min_group"),
    },
)

DYNAMO = Known(
    "Dynamo's frontend (1.4.2 to 1.6.1)",
    frozenset(
        """
    active-decode-blocks-threshold active-prefill-tokens-threshold active-prefill-tokens-threshold-frac
    aic-attention-dp-size aic-backend aic-backend-version aic-model-path aic-moe-ep-size aic-moe-tp-size
    aic-mtp-seed aic-nextn aic-nextn-accept-rates aic-system aic-tp-size ais-attention-dp-size ais-backend
    ais-backend-version ais-model-path ais-moe-ep-size ais-moe-tp-size ais-mtp-seed ais-nextn
    ais-nextn-accept-rates ais-perf-config ais-system ais-tp-size assume-kv-reuse discovery-backend
    dump-config-to dyn-chat-processor dyn-debug-perf dyn-preprocess-workers enable-anthropic-api
    enable-session-prefix-index enable-streaming-reasoning-dispatch enable-streaming-tool-dispatch
    enforce-disagg event-plane exclude-tools-when-tool-choice-none frontend-route-extension grpc-metrics-port
    http-host http-port interactive kserve-grpc-server kv-cache-block-size kv-events kv-overlap-score-weight
    load-aware metrics-prefix migration-limit migration-max-seq-len model-name model-path namespace
    namespace-prefix nats-tls-ca-cert-path nats-tls-client-cert-path nats-tls-client-key-path nats-tls-insecure
    reasoning-field-name request-plane response-plane router-approximate-cache-policy router-assume-kv-reuse
    router-conditional-disagg router-conditional-disagg-config router-decode-active-request-weight
    router-decode-policy router-disk-cache-hit-weight router-event-threads router-host-cache-hit-weight
    router-kv-events router-kv-overlap-score-credit router-kv-overlap-score-credit-decay
    router-kv-overlap-score-weight router-min-initial-workers router-mode router-policy-config
    router-predicted-ttl-secs router-prefill-load-model router-prefill-load-scale router-prefill-policy
    router-queue-policy router-queue-threshold router-replica-sync router-session-affinity-mode
    router-session-affinity-ttl-secs router-temperature router-track-active-blocks router-track-output-blocks
    router-track-prefill-tokens router-tracking-hash router-tracking-key-file router-tracking-key-id
    router-ttl-secs serve-indexer shared-cache-multiplier shared-cache-type strip-anthropic-preamble
    tcp-tls-ca-cert-path tcp-tls-cert-path tcp-tls-client-ca-cert-path tcp-tls-client-cert-path
    tcp-tls-client-key-path tcp-tls-key-path tls-cert-path tls-client-ca-cert-path tls-key-path tokenizer
    tokenizer-fallback track-active-blocks track-output-blocks trust-remote-code use-remote-indexer
    """.split()
    ),
    frozenset(
        """
    assume-kv-reuse dyn-debug-perf enable-anthropic-api enable-session-prefix-index
    enable-streaming-reasoning-dispatch enable-streaming-tool-dispatch enforce-disagg
    exclude-tools-when-tool-choice-none interactive kserve-grpc-server kv-events load-aware nats-tls-insecure
    router-assume-kv-reuse router-conditional-disagg router-kv-events router-replica-sync
    router-track-active-blocks router-track-output-blocks router-track-prefill-tokens serve-indexer
    strip-anthropic-preamble tokenizer-fallback track-active-blocks track-output-blocks trust-remote-code
    use-remote-indexer
    """.split()
    ),
    {
        "router-mode": (
            "round-robin", "random", "power-of-two", "kv", "direct", "least-loaded", "device-aware-weighted",
        )
    },
)  # fmt: skip
