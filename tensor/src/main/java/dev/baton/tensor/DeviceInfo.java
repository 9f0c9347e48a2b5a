package dev.baton.tensor;

/**
 * @param kind {@code cpu} or {@code cuda}
 * @param name what the maker calls it
 * @param memoryBytes memory that weights and caches may take
 * @param threads worker threads of a CPU device, 0 otherwise
 */
public record DeviceInfo(String kind, String name, long memoryBytes, int threads) {}
