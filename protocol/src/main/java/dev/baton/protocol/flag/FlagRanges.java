package dev.baton.protocol.flag;

import dev.baton.protocol.ProtocolException;
import java.util.Map;

/** Which numbers a launch flag can have, where that does not depend on the model or the machine. */
final class FlagRanges {
    private static final Range COUNT = new Range(1, Integer.MAX_VALUE);
    private static final Range PORT = new Range(0, 65535);

    private static final Map<String, Range> RANGES = Map.ofEntries(
            Map.entry("port", PORT),
            Map.entry("disaggregation-bootstrap-port", PORT),
            Map.entry("page-size", COUNT),
            Map.entry("tp-size", COUNT),
            Map.entry("dp-size", COUNT),
            Map.entry("ep-size", COUNT),
            Map.entry("cpu-threads", COUNT),
            Map.entry("base-gpu-id", new Range(0, Integer.MAX_VALUE)),
            Map.entry("gpu-id-step", COUNT),
            Map.entry("context-length", COUNT),
            Map.entry("max-total-tokens", COUNT),
            Map.entry("max-running-requests", COUNT),
            Map.entry("max-prefill-tokens", COUNT),
            Map.entry("decode-log-interval", COUNT),
            Map.entry("stream-interval", COUNT));

    private record Range(int least, int most) {}

    private FlagRanges() {}

    /** @throws ProtocolException INVALID_FLAG naming the flag, the value and the range */
    static void check(String flag, Object value) {
        Range range = RANGES.get(flag);
        if (range != null && value instanceof Integer number && (number < range.least || number > range.most)) {
            throw new ProtocolException(
                    ProtocolException.Code.INVALID_FLAG,
                    "argument --" + flag + ": must be "
                            + (range.most == Integer.MAX_VALUE
                                    ? "at least " + range.least
                                    : "from " + range.least + " to " + range.most)
                            + ", got " + number);
        }
    }
}
