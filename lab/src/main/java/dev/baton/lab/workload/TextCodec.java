package dev.baton.lab.workload;

/** Text to token ids and back, as the model under test does it. Implementations are safe for use by one thread at a time. */
public interface TextCodec {
    /** Ids run from 0 to this, exclusive. */
    int vocabularySize();

    /** Ids of the text without special tokens in front or behind. */
    int[] encode(String text);

    /** The text of the ids; ids that are no whole characters become replacement characters. */
    String decode(int[] ids);
}
