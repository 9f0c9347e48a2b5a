package dev.baton.serve.router;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import dev.baton.protocol.ProtocolException;

/** How a worker is chosen ({@code --policy}). */
public enum PolicyName {
    /** Any. */
    RANDOM("random"),
    /** One after the other. */
    ROUND_ROBIN("round_robin"),
    /** The less loaded of two drawn at random. */
    POWER_OF_TWO("power_of_two"),
    /** The one that probably holds the longest prefix of the prompt, unless loads differ too much. */
    CACHE_AWARE("cache_aware");

    private final String wire;

    PolicyName(String wire) {
        this.wire = wire;
    }

    /** The flag's value. */
    @JsonValue
    public String wire() {
        return wire;
    }

    /** The policy of a flag's value; {@code po2} is an old name of {@code power_of_two}. */
    @JsonCreator
    public static PolicyName of(String wire) {
        for (PolicyName name : values()) {
            if (name.wire.equals(wire)) {
                return name;
            }
        }
        if (wire.equals("po2")) {
            return POWER_OF_TWO;
        }
        throw new ProtocolException(
                ProtocolException.Code.INVALID_FLAG,
                "policy '" + wire + "' is not one of random, round_robin, power_of_two, cache_aware");
    }

    @Override
    public String toString() {
        return wire;
    }
}
