package dev.baton.protocol.request;

import static dev.baton.protocol.request.JsonBody.integer;
import static dev.baton.protocol.request.JsonBody.invalid;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonParser;

/**
 * The body of the bootstrap server's {@code PUT /route}: one prefill rank and where it is reached.
 *
 * @param attentionTpSize ranks of one attention-TP group
 * @param attentionTpRank this rank in it
 * @param attentionDpSize groups under DP attention
 * @param attentionDpRank this rank's group
 * @param ppSize pipeline stages
 * @param ppRank this rank's stage
 * @param systemDpSize replicas (1 under DP attention)
 * @param systemDpRank this rank's replica
 * @param host {@code rank_ip}
 * @param port {@code rank_port}
 * @param more fields beyond the dialect's ({@code page_size}, {@code kv_cache_dtype}, transfer end points), given back
 *     as they came
 */
public record RouteRegistration(
        int attentionTpSize,
        int attentionTpRank,
        int attentionDpSize,
        int attentionDpRank,
        int ppSize,
        int ppRank,
        int systemDpSize,
        int systemDpRank,
        String host,
        int port,
        Map<String, Object> more) {

    /** Extra fields that one rank may leave. */
    private static final int MAX_MORE = 64;

    public RouteRegistration {
        more = Map.copyOf(more);
    }

    /** The DP group that the rank belongs to, as clients ask for it. */
    public int dpGroup() {
        return systemDpSize == 1 ? attentionDpRank : systemDpRank;
    }

    /** DP groups of the deployment. */
    public int dpGroups() {
        return systemDpSize == 1 ? attentionDpSize : systemDpSize;
    }

    /**
     * Reads and checks a body.
     *
     * @throws dev.baton.protocol.ProtocolException INVALID_REQUEST naming the field
     */
    public static RouteRegistration read(byte[] body) {
        var reader = new Reader();
        JsonBody.object(body, false, reader::read);
        return reader.registration();
    }

    private static final class Reader {
        private final Map<String, Integer> numbers = new LinkedHashMap<>();
        private final Map<String, Object> more = new LinkedHashMap<>();
        private @Nullable String role;
        private @Nullable String host;

        void read(String name, JsonParser parser) {
            switch (name) {
                case "role" -> role = JsonBody.string(name, parser);
                case "rank_ip" -> host = JsonBody.string(name, parser);
                case "attn_tp_size",
                        "attn_tp_rank",
                        "attn_dp_size",
                        "attn_dp_rank",
                        "pp_size",
                        "pp_rank",
                        "system_dp_size",
                        "system_dp_rank",
                        "rank_port" -> numbers.put(name, integer(name, parser));
                default -> {
                    Object value = JsonBody.any(parser);
                    if (value != null && more.size() < MAX_MORE) {
                        more.put(name, value);
                    }
                }
            }
        }

        RouteRegistration registration() {
            if (!"Prefill".equals(role)) {
                throw invalid("role must be \"Prefill\", got " + (role == null ? "nothing" : "\"" + role + "\"") + ".");
            }
            if (host == null || host.isEmpty()) {
                throw invalid("rank_ip is missing: the address at which the rank is reached.");
            }
            int port = number("rank_port");
            if (port < 1 || port > 65_535) {
                throw invalid("rank_port must be in [1, 65535], got " + port + ".");
            }
            rank("attn_tp_rank", "attn_tp_size");
            rank("attn_dp_rank", "attn_dp_size");
            rank("pp_rank", "pp_size");
            rank("system_dp_rank", "system_dp_size");
            return new RouteRegistration(
                    number("attn_tp_size"),
                    number("attn_tp_rank"),
                    number("attn_dp_size"),
                    number("attn_dp_rank"),
                    number("pp_size"),
                    number("pp_rank"),
                    number("system_dp_size"),
                    number("system_dp_rank"),
                    host,
                    port,
                    more);
        }

        private int number(String name) {
            Integer value = numbers.get(name);
            if (value == null) {
                throw invalid(name + " is missing.");
            }
            return value;
        }

        private void rank(String rank, String size) {
            int count = number(size);
            if (count < 1 || count > 65_536) {
                throw invalid(size + " must be in [1, 65536], got " + count + ".");
            }
            int value = number(rank);
            if (value < 0 || value >= count) {
                throw invalid(rank + " must be in [0, " + count + "), got " + value + ".");
            }
        }
    }
}
