package dev.baton.protocol.flag;

import dev.baton.protocol.ProtocolException;
import java.util.ArrayList;
import java.util.List;

/** What follows a flag on the command line. */
public enum FlagType {
    /** Nothing follows; present means true. */
    SWITCH,
    INTEGER,
    DECIMAL,
    TEXT,
    /** One or more integers until the next flag. */
    INTEGERS,
    /** One or more words until the next flag; given again, it adds. */
    TEXTS;

    /**
     * The value that the words after a flag give: Boolean, Integer, Double, String, or a List of Integer or String.
     *
     * @throws ProtocolException INVALID_FLAG naming the flag and the word
     */
    Object parse(String flag, List<String> words) {
        try {
            return switch (this) {
                case SWITCH -> true;
                case INTEGER -> Integer.valueOf(words.getFirst());
                case DECIMAL -> Double.valueOf(words.getFirst());
                case TEXT -> words.getFirst();
                case TEXTS -> List.copyOf(words);
                case INTEGERS -> {
                    List<Integer> numbers = new ArrayList<>();
                    for (String word : words) {
                        numbers.add(Integer.valueOf(word));
                    }
                    yield List.copyOf(numbers);
                }
            };
        } catch (NumberFormatException e) {
            throw new ProtocolException(
                    ProtocolException.Code.INVALID_FLAG,
                    "argument --" + flag + ": invalid " + (this == DECIMAL ? "float" : "int") + " value: '"
                            + String.join(" ", words) + "'");
        }
    }
}
