package dev.baton.trace.expert;

import dev.baton.trace.TraceException;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;

/** The choices of {@code --eplb-algorithm}. */
public enum EplbAlgorithm {
    /** Hierarchical where the model has expert groups that the nodes divide, else over all GPUs at once. */
    AUTO,
    /** Over all GPUs at once. */
    DEEPSEEK,
    /** Groups to nodes first, so that the experts of a group stay on one node. */
    DEEPSEEK_HIERARCHICAL;

    /**
     * The algorithm of a flag's value.
     *
     * @throws TraceException MALFORMED naming the choices
     */
    public static EplbAlgorithm of(String name) {
        for (EplbAlgorithm algorithm : values()) {
            if (algorithm.wire().equals(name)) {
                return algorithm;
            }
        }
        throw new TraceException(
                TraceException.Code.MALFORMED,
                "'" + name + "' is no EPLB algorithm that Baton has; choose from "
                        + Arrays.stream(values()).map(EplbAlgorithm::wire).collect(Collectors.joining(", ")),
                new IllegalArgumentException(name));
    }

    /** The flag's value. */
    public String wire() {
        return name().toLowerCase(Locale.ROOT);
    }

    /**
     * Places experts.
     *
     * @param weight [layer][expert] tokens
     * @param slots physical experts, a multiple of {@code gpus}
     * @param groups expert groups of the model; 0 for a model without
     * @param nodes of the expert-parallel group
     * @throws TraceException MALFORMED naming the numbers that do not divide
     */
    public Placement place(double[][] weight, int slots, int groups, int nodes, int gpus) {
        return switch (this) {
            case AUTO ->
                groups > 0 ? Eplb.balance(weight, slots, groups, nodes, gpus) : Eplb.global(weight, slots, gpus);
            case DEEPSEEK -> Eplb.global(weight, slots, gpus);
            case DEEPSEEK_HIERARCHICAL -> Eplb.hierarchical(weight, slots, Math.max(1, groups), nodes, gpus);
        };
    }
}
