package dev.baton.model.tokenizer;

import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * The ids that a tokenizer's post-processor puts around one text.
 *
 * @param before ids in front; not to be changed
 * @param after ids behind; not to be changed
 */
record SpecialTokenTemplate(int[] before, int[] after) {
    static final SpecialTokenTemplate NONE = new SpecialTokenTemplate(new int[0], new int[0]);

    /** Reads {@code post_processor}. */
    static SpecialTokenTemplate of(@Nullable JsonNode json) {
        if (json == null || json.isNull()) {
            return NONE;
        }
        String type = json.path("type").asString("");
        return switch (type) {
            case "ByteLevel" -> NONE;
            case "TemplateProcessing" -> template(json);
            case "Sequence" -> {
                SpecialTokenTemplate found = NONE;
                for (JsonNode processor : json.path("processors")) {
                    SpecialTokenTemplate next = of(processor);
                    if (next != NONE && found != NONE) {
                        throw new UnsupportedTokenizerException("two post-processor templates");
                    }
                    found = next != NONE ? next : found;
                }
                yield found;
            }
            default -> throw new UnsupportedTokenizerException("post_processor " + type);
        };
    }

    private static SpecialTokenTemplate template(JsonNode json) {
        IntBuffer before = new IntBuffer(1);
        IntBuffer after = new IntBuffer(1);
        boolean behind = false;
        for (JsonNode piece : json.path("single")) {
            if (piece.has("Sequence")) {
                if (behind) {
                    throw new UnsupportedTokenizerException("post_processor repeats the text");
                }
                behind = true;
            } else {
                String name = piece.path("SpecialToken").path("id").asString("");
                JsonNode ids = json.path("special_tokens").path(name).path("ids");
                if (!ids.isArray()) {
                    throw new UnsupportedTokenizerException("post_processor has no ids for " + name);
                }
                for (JsonNode id : ids) {
                    (behind ? after : before).add(id.intValue());
                }
            }
        }
        if (!behind) {
            throw new UnsupportedTokenizerException("post_processor leaves the text out");
        }
        return new SpecialTokenTemplate(before.toArray(), after.toArray());
    }
}
