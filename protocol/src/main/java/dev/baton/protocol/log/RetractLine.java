package dev.baton.protocol.log;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The KV pool ran full while decoding.
 *
 * @param retracted requests sent back to the queue by this step
 * @param oldRatio admission estimate before
 * @param newRatio and after
 */
public record RetractLine(int retracted, double oldRatio, double newRatio) {
    private static final Pattern LINE = Pattern.compile(
            "Retract requests\\. #retracted_reqs: (\\d{1,9}),.*#new_token_ratio: (\\d+(?:\\.\\d+)?) -> (\\d+(?:\\.\\d+)?)");

    /** The message, without prefix. */
    public String format() {
        return "KV cache pool is full. Retract requests. #retracted_reqs: " + retracted + ", #new_token_ratio: "
                + LogFields.fixed(oldRatio, 4) + " -> " + LogFields.fixed(newRatio, 4);
    }

    /** Reads a line, with prefix or without. */
    public static Optional<RetractLine> parse(String line) {
        Matcher m = LINE.matcher(line);
        return m.find()
                ? Optional.of(new RetractLine(
                        Integer.parseInt(m.group(1)), Double.parseDouble(m.group(2)), Double.parseDouble(m.group(3))))
                : Optional.empty();
    }
}
