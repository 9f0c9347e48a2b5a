package dev.baton.tensor.parallel;

/**
 * What stands before the payload of a message between two nodes.
 *
 * @param channel whose message it is; see {@link NodeMesh#open}
 * @param kind what it says; the channel's owner gives the numbers their meaning
 * @param source rank of the sender within the channel's group
 * @param sequence position among the messages of this source
 * @param dtype code of the elements' type
 * @param rows shape of the payload's tensor
 * @param columns its row length
 * @param bytes payload that follows
 */
public record Frame(int channel, int kind, int source, long sequence, int dtype, int rows, int columns, long bytes) {
    /** A message that is no tensor. */
    public static Frame message(int channel, int kind, long bytes) {
        return new Frame(channel, kind, 0, 0, 0, 0, 0, bytes);
    }
}
