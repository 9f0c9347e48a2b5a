package dev.baton.engine;

/** Which DP rank a request goes to: {@code --load-balance-method}. */
public enum DispatchPolicy {
    /** One after the other. */
    ROUND_ROBIN,
    /** The rank with the fewest live requests, the lowest number among equals. */
    SHORTEST_QUEUE;

    /**
     * The policy of that name.
     *
     * @throws EngineException CONFIGURATION naming the ones there are
     */
    public static DispatchPolicy of(String name) {
        return switch (name) {
            case "round_robin" -> ROUND_ROBIN;
            case "shortest_queue" -> SHORTEST_QUEUE;
            default ->
                throw new EngineException(
                        EngineException.Code.CONFIGURATION,
                        "--load-balance-method must be round_robin or shortest_queue, got " + name);
        };
    }
}
