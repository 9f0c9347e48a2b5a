package dev.baton.engine.disagg;

import dev.baton.engine.EngineException;
import dev.baton.engine.disagg.transfer.TransferBackend;
import java.time.Duration;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * How a server takes part in prefill/decode disaggregation.
 *
 * @param mode the role, {@code --disaggregation-mode}
 * @param backend how pages travel, {@code --disaggregation-transfer-backend}
 * @param transferHost address that prefill ranks listen on and register, {@code --host} unless that is a wildcard
 * @param bootstrapHost where the bootstrap server of this prefill deployment runs (prefill)
 * @param bootstrapPort its port, {@code --disaggregation-bootstrap-port}
 * @param reservedDecodeTokens KV tokens kept free for each request that decodes, {@code --num-reserved-decode-tokens}
 * @param clipNewTokens most output tokens that an estimate counts for one request
 * @param pollingInterval decode looks at its queues every so many turns of its loop
 * @param bootstrapTimeout prefill: waiting for the decode server; decode: finding the prefill server
 * @param waitingTimeout decode: waiting for the pages
 * @param heartbeatInterval between two looks at a bootstrap server (decode)
 * @param heartbeatMaxFailures failed looks in a row after which it counts as lost
 * @param failureProbability share of the transfers that fail on purpose, to test what happens then
 */
public record DisaggregationConfig(
        Mode mode,
        TransferBackend backend,
        String transferHost,
        String bootstrapHost,
        int bootstrapPort,
        int reservedDecodeTokens,
        int clipNewTokens,
        int pollingInterval,
        Duration bootstrapTimeout,
        Duration waitingTimeout,
        Duration heartbeatInterval,
        int heartbeatMaxFailures,
        double failureProbability) {

    /** The roles. */
    public enum Mode {
        /** Both halves of each request. */
        NONE("null"),
        PREFILL("prefill"),
        DECODE("decode");

        private final String flag;

        Mode(String flag) {
            this.flag = flag;
        }

        /** The value of {@code --disaggregation-mode} and of {@code disaggregation_mode} in server information. */
        public String flag() {
            return flag;
        }

        /**
         * @throws EngineException CONFIGURATION for an unknown name
         */
        public static Mode parse(String name) {
            for (Mode mode : values()) {
                if (mode.flag.equals(name)) {
                    return mode;
                }
            }
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    "--disaggregation-mode must be null, prefill or decode, got " + name);
        }
    }

    /** One server for everything. */
    public static final DisaggregationConfig NONE = of(Mode.NONE);

    public DisaggregationConfig {
        require(bootstrapPort >= 0 && bootstrapPort <= 65535, "--disaggregation-bootstrap-port", bootstrapPort);
        require(reservedDecodeTokens >= 0, "--num-reserved-decode-tokens", reservedDecodeTokens);
        require(clipNewTokens >= 1, "SGLANG_CLIP_MAX_NEW_TOKENS_ESTIMATION", clipNewTokens);
        require(pollingInterval >= 1, "--disaggregation-decode-polling-interval", pollingInterval);
        require(
                failureProbability >= 0 && failureProbability <= 1,
                "DISAGGREGATION_TEST_FAILURE_PROB",
                failureProbability);
        requirePositive(bootstrapTimeout, "SGLANG_DISAGGREGATION_BOOTSTRAP_TIMEOUT");
        requirePositive(waitingTimeout, "SGLANG_DISAGGREGATION_WAITING_TIMEOUT");
        requirePositive(heartbeatInterval, "SGLANG_DISAGGREGATION_HEARTBEAT_INTERVAL");
        require(heartbeatMaxFailures >= 1, "SGLANG_DISAGGREGATION_HEARTBEAT_MAX_FAILURE", heartbeatMaxFailures);
    }

    private static void requirePositive(Duration value, String name) {
        require(value.isPositive(), name, value);
    }

    private static void require(boolean holds, String name, Object value) {
        if (!holds) {
            throw new EngineException(EngineException.Code.CONFIGURATION, name + " is out of range: " + value);
        }
    }

    /** SGLang's defaults for a role. */
    public static DisaggregationConfig of(Mode mode) {
        return new DisaggregationConfig(
                mode,
                TransferBackend.AUTO,
                "127.0.0.1",
                "127.0.0.1",
                8998,
                512,
                4096,
                1,
                Duration.ofSeconds(300),
                Duration.ofSeconds(300),
                Duration.ofSeconds(5),
                2,
                0);
    }

    /**
     * With what SGLang's environment variables say. Intervals below 2 s and failure counts below 1 are raised to that,
     * as SGLang does.
     *
     * @param reservedFlag value of {@code --num-reserved-decode-tokens} when it was given: it wins over the variable
     * @throws EngineException CONFIGURATION naming the variable, its value and what it takes
     */
    public DisaggregationConfig withEnvironment(Map<String, String> environment, @Nullable Integer reservedFlag) {
        Environment env = new Environment(environment);
        return new DisaggregationConfig(
                mode,
                backend,
                transferHost,
                bootstrapHost,
                bootstrapPort,
                reservedFlag != null
                        ? reservedFlag
                        : (int) env.number("SGLANG_NUM_RESERVED_DECODE_TOKENS", reservedDecodeTokens),
                (int) env.number("SGLANG_CLIP_MAX_NEW_TOKENS_ESTIMATION", clipNewTokens),
                pollingInterval,
                env.seconds("SGLANG_DISAGGREGATION_BOOTSTRAP_TIMEOUT", bootstrapTimeout),
                env.seconds("SGLANG_DISAGGREGATION_WAITING_TIMEOUT", waitingTimeout),
                max(env.seconds("SGLANG_DISAGGREGATION_HEARTBEAT_INTERVAL", heartbeatInterval), Duration.ofSeconds(2)),
                (int) Math.max(1, env.number("SGLANG_DISAGGREGATION_HEARTBEAT_MAX_FAILURE", heartbeatMaxFailures)),
                env.number("DISAGGREGATION_TEST_FAILURE_PROB", failureProbability));
    }

    public DisaggregationConfig withBackend(TransferBackend value) {
        return new DisaggregationConfig(
                mode,
                value,
                transferHost,
                bootstrapHost,
                bootstrapPort,
                reservedDecodeTokens,
                clipNewTokens,
                pollingInterval,
                bootstrapTimeout,
                waitingTimeout,
                heartbeatInterval,
                heartbeatMaxFailures,
                failureProbability);
    }

    public DisaggregationConfig withHosts(String transfer, String bootstrap, int port) {
        return new DisaggregationConfig(
                mode,
                backend,
                transfer,
                bootstrap,
                port,
                reservedDecodeTokens,
                clipNewTokens,
                pollingInterval,
                bootstrapTimeout,
                waitingTimeout,
                heartbeatInterval,
                heartbeatMaxFailures,
                failureProbability);
    }

    public DisaggregationConfig withReservedDecodeTokens(int tokens) {
        return new DisaggregationConfig(
                mode,
                backend,
                transferHost,
                bootstrapHost,
                bootstrapPort,
                tokens,
                clipNewTokens,
                pollingInterval,
                bootstrapTimeout,
                waitingTimeout,
                heartbeatInterval,
                heartbeatMaxFailures,
                failureProbability);
    }

    public DisaggregationConfig withPollingInterval(int turns) {
        return new DisaggregationConfig(
                mode,
                backend,
                transferHost,
                bootstrapHost,
                bootstrapPort,
                reservedDecodeTokens,
                clipNewTokens,
                turns,
                bootstrapTimeout,
                waitingTimeout,
                heartbeatInterval,
                heartbeatMaxFailures,
                failureProbability);
    }

    public DisaggregationConfig withTimeouts(Duration bootstrap, Duration waiting, Duration heartbeat) {
        return new DisaggregationConfig(
                mode,
                backend,
                transferHost,
                bootstrapHost,
                bootstrapPort,
                reservedDecodeTokens,
                clipNewTokens,
                pollingInterval,
                bootstrap,
                waiting,
                heartbeat,
                heartbeatMaxFailures,
                failureProbability);
    }

    private static Duration max(Duration a, Duration b) {
        return a.compareTo(b) >= 0 ? a : b;
    }

    /** Numbers from environment variables. */
    private record Environment(Map<String, String> values) {
        double number(String name, double otherwise) {
            String text = values.get(name);
            if (text == null || text.isBlank()) {
                return otherwise;
            }
            try {
                double value = Double.parseDouble(text.strip());
                if (Double.isFinite(value)) {
                    return value;
                }
            } catch (NumberFormatException e) {
                // Told below, with the name.
            }
            throw new EngineException(EngineException.Code.CONFIGURATION, name + " must be a number, got " + text);
        }

        Duration seconds(String name, Duration otherwise) {
            return Duration.ofNanos((long) (number(name, otherwise.toNanos() / 1e9) * 1e9));
        }
    }
}
