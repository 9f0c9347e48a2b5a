package dev.baton.protocol.request;

import dev.baton.protocol.SamplingParams;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What completion and chat bodies share.
 *
 * @param model as the client wrote it ("default" when left out)
 * @param stream server-sent events
 * @param includeUsage the stream ends with a chunk that holds the usage
 * @param continuousUsage every chunk holds the usage so far
 * @param sampling with the body's fields over the defaults
 * @param rid the client's name for the request; null lets the server choose
 * @param bootstraps of each prompt; the room of one alone counts up over the prompts
 * @param cacheSalts of each prompt, or one for all; empty for none
 * @param dataParallelRank null lets the engine choose
 */
public record OpenAiOptions(
        String model,
        boolean stream,
        boolean includeUsage,
        boolean continuousUsage,
        SamplingParams sampling,
        @Nullable String rid,
        List<BootstrapFields> bootstraps,
        List<String> cacheSalts,
        @Nullable Integer dataParallelRank) {
    public OpenAiOptions {
        bootstraps = List.copyOf(bootstraps);
        cacheSalts = List.copyOf(cacheSalts);
    }

    /** The cache salt of the prompt at this index; null for none. */
    public @Nullable String cacheSalt(int prompt) {
        String salt = cacheSalts.isEmpty() ? "" : cacheSalts.get(Math.min(prompt, cacheSalts.size() - 1));
        return salt.isEmpty() ? null : salt;
    }

    /** The bootstrap fields of the prompt at this index. */
    public BootstrapFields bootstrap(int prompt) {
        if (bootstraps.size() > 1 && prompt < bootstraps.size()) {
            return bootstraps.get(prompt);
        }
        BootstrapFields first = bootstraps.isEmpty() ? BootstrapFields.NONE : bootstraps.getFirst();
        Long room = first.room();
        return room == null || prompt == 0
                ? first
                : new BootstrapFields(first.host(), first.port(), (room + prompt) & Long.MAX_VALUE);
    }
}
