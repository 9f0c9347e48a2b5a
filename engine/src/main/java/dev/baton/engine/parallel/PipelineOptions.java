package dev.baton.engine.parallel;

import dev.baton.engine.EngineException;
import java.util.List;

/**
 * How pipeline stages work together, beside their number.
 *
 * @param stageLayers layers of each stage ({@code SGLANG_PP_LAYER_PARTITION}); empty: as even as they divide
 * @param messages that may be under way from one stage to another: as many as steps are in flight
 * @param synchronous stages wait for every message they send and post receives when they need them, to compare with
 */
public record PipelineOptions(List<Integer> stageLayers, int messages, boolean synchronous) {
    /** Evenly divided layers, two messages. */
    public static final PipelineOptions DEFAULT = new PipelineOptions(List.of(), 2, false);

    /** @throws EngineException CONFIGURATION when no message may travel */
    public PipelineOptions {
        stageLayers = List.copyOf(stageLayers);
        if (messages < 1) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION, "messages between stages must be at least 1, got " + messages);
        }
    }

    /** Reads {@code 8,8,10}. */
    public static List<Integer> stageLayers(String text) {
        try {
            return List.of(text.split(",")).stream()
                    .map(part -> Integer.valueOf(part.strip()))
                    .toList();
        } catch (NumberFormatException e) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    "SGLANG_PP_LAYER_PARTITION must be numbers of layers with commas, one a stage, like 8,8,10; got "
                            + text);
        }
    }
}
