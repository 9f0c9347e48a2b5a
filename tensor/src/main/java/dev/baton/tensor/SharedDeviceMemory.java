package dev.baton.tensor;

import java.security.SecureRandom;

/**
 * Memory of a device that another process of the same host may open with {@link PageMover#open}.
 *
 * @param process the JVM that owns it, see {@link #THIS_PROCESS}
 * @param device which card, by its universal id
 * @param ordinal number of the card in the owner's process
 * @param address where it lies in the owner's process
 * @param bytes its size
 * @param handle what the driver opens in another process
 */
public record SharedDeviceMemory(long process, String device, int ordinal, long address, long bytes, byte[] handle) {
    /** A number that no other process has: process ids repeat where containers number them apart. */
    public static final long THIS_PROCESS = new SecureRandom().nextLong();

    /** Whether the owner is this JVM, so that the address itself can be used. */
    public boolean isHere() {
        return process == THIS_PROCESS;
    }
}
