package dev.baton.cuda.driver;

/**
 * One GPU.
 *
 * @param ordinal its number among the visible ones
 * @param name what the maker calls it
 * @param major compute capability
 * @param minor compute capability
 * @param multiprocessors how many
 * @param sharedBytesOptIn most shared memory of a block
 * @param memoryBytes of the card
 */
public record GpuInfo(
        int ordinal, String name, int major, int minor, int multiprocessors, int sharedBytesOptIn, long memoryBytes) {
    /** The compiler's name of the architecture; {@code a} stands for instructions of this very generation. */
    public String architecture() {
        return "sm_" + major + minor + (hasWarpGroupProducts() ? "a" : "");
    }

    /** Whether four warps multiply together from shared memory ({@code wgmma}): compute capability 9, no other. */
    public boolean hasWarpGroupProducts() {
        return major == 9;
    }

    /** Whether blocks can form clusters and kernels can be launched ahead: compute capability 9.0 and later. */
    public boolean hasClusters() {
        return major >= 9;
    }
}
