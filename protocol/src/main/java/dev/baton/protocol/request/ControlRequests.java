package dev.baton.protocol.request;

import static dev.baton.protocol.request.JsonBody.invalid;
import static dev.baton.protocol.request.JsonBody.isNull;

import dev.baton.protocol.ProfileRequest;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/** The bodies of the control endpoints. Each method throws ProtocolException INVALID_REQUEST naming the field. */
public final class ControlRequests {
    private static final List<String> PROFILE_FIELDS = List.of(
            "output_dir",
            "start_step",
            "num_steps",
            "activities",
            "profile_by_stage",
            "with_stack",
            "record_shapes",
            "merge_profiles",
            "profile_prefix",
            "profile_stages");

    private ControlRequests() {}

    /** {@code /abort_request}. */
    public record Abort(String rid, boolean all) {}

    /** {@code /tokenize}: one text or several; {@code list} says which form the reply takes. */
    public record Tokenize(List<String> prompts, boolean list, boolean addSpecialTokens) {}

    /** {@code /detokenize}: one list of ids or several. */
    public record Detokenize(List<int[]> tokens, boolean list, boolean skipSpecialTokens) {}

    /** {@code /slow_down}: seconds, 0 to end it. The key must be there. */
    public static double slowDownSeconds(byte[] body) {
        var found = new Object() {
            boolean key;
            double seconds;
        };
        JsonBody.object(body, true, (name, parser) -> {
            if (name.equals("forward_sleep_time")) {
                found.key = true;
                found.seconds = isNull(parser) ? 0 : JsonBody.number(name, parser);
            } else {
                throw invalid("Unknown field '" + name + "'." + JsonBody.meant(name, List.of("forward_sleep_time")));
            }
        });
        if (!found.key) {
            throw invalid("forward_sleep_time is missing: give seconds, or null to end the slow-down.");
        }
        return Math.max(0, found.seconds);
    }

    /** {@code /abort_request}; an empty body aborts nothing. */
    public static Abort abort(byte[] body) {
        var found = new Object() {
            String rid = "";
            boolean all;
        };
        JsonBody.object(body, true, (name, parser) -> {
            switch (name) {
                case "rid" -> found.rid = isNull(parser) ? "" : JsonBody.string(name, parser);
                case "abort_all" -> found.all = !isNull(parser) && JsonBody.bool(name, parser);
                default -> parser.skipChildren();
            }
        });
        return new Abort(found.rid, found.all);
    }

    /**
     * {@code /start_profile}; an empty body takes the defaults. Numbers may come as strings, as SGLang's own profiler
     * tool sends them.
     *
     * @param profileId epoch seconds, first part of the file names
     */
    public static ProfileRequest profile(byte[] body, String profileId) {
        var profile = new Profile();
        JsonBody.object(body, true, profile::read);
        return new ProfileRequest(
                profile.outputDir,
                profile.startStep,
                profile.numSteps == null ? null : Math.toIntExact(profile.numSteps),
                profile.activities,
                profile.byStage,
                profile.withStack,
                profile.recordShapes,
                profile.merge,
                profile.prefix,
                profileId);
    }

    private static final class Profile {
        @Nullable
        String outputDir;

        @Nullable
        Long startStep;

        @Nullable
        Long numSteps;

        List<String> activities = List.of("CPU", "GPU");
        boolean byStage;

        @Nullable
        Boolean withStack;

        @Nullable
        Boolean recordShapes;

        boolean merge;

        @Nullable
        String prefix;

        void read(String name, JsonParser parser) {
            if (!PROFILE_FIELDS.contains(name)) {
                throw invalid("Unknown field '" + name + "'." + JsonBody.meant(name, PROFILE_FIELDS));
            }
            if (isNull(parser)) {
                return;
            }
            switch (name) {
                case "output_dir" -> outputDir = JsonBody.string(name, parser);
                case "start_step" -> startStep = steps(name, parser);
                case "num_steps" -> numSteps = steps(name, parser);
                case "activities" -> activities = JsonBody.strings(name, parser);
                case "profile_by_stage" -> byStage = JsonBody.bool(name, parser);
                case "with_stack" -> withStack = JsonBody.bool(name, parser);
                case "record_shapes" -> recordShapes = JsonBody.bool(name, parser);
                case "merge_profiles" -> merge = JsonBody.bool(name, parser);
                case "profile_prefix" -> prefix = fileNamePart(name, JsonBody.string(name, parser));
                default -> parser.skipChildren();
            }
        }

        private static long steps(String name, JsonParser parser) {
            long value;
            if (parser.currentToken() == JsonToken.VALUE_STRING) {
                try {
                    value = Long.parseLong(parser.getString().strip());
                } catch (NumberFormatException e) {
                    throw JsonBody.wrong(name, "an integer", parser);
                }
            } else {
                value = JsonBody.longInteger(name, parser);
            }
            if (value < 0 || value > Integer.MAX_VALUE) {
                throw invalid(name + " must be in [0, " + Integer.MAX_VALUE + "], got " + value + ".");
            }
            return value;
        }

        private static String fileNamePart(String name, String value) {
            if (value.contains("/") || value.contains("\\") || value.indexOf('\0') >= 0) {
                throw invalid(name + " is part of a file name and must not hold a separator, got \"" + value + "\".");
            }
            return value;
        }
    }

    /** {@code /tokenize}. */
    public static Tokenize tokenize(byte[] body) {
        var found = new Object() {
            @Nullable
            List<String> prompts;

            boolean list;
            boolean special = true;
        };
        JsonBody.object(body, false, (name, parser) -> {
            switch (name) {
                case "prompt", "text" -> {
                    found.list = parser.currentToken() == JsonToken.START_ARRAY;
                    found.prompts = JsonBody.strings(name, parser);
                }
                case "add_special_tokens" -> found.special = JsonBody.bool(name, parser);
                default -> parser.skipChildren();
            }
        });
        if (found.prompts == null) {
            throw invalid("prompt is missing: give a string or an array of strings.");
        }
        return new Tokenize(found.prompts, found.list, found.special);
    }

    /** {@code /detokenize}. */
    public static Detokenize detokenize(byte[] body) {
        var found = new Object() {
            @Nullable
            List<int[]> tokens;

            boolean list;
            boolean skip = true;
        };
        JsonBody.object(body, false, (name, parser) -> {
            switch (name) {
                case "tokens" -> {
                    found.tokens = new ArrayList<>();
                    if (parser.currentToken() != JsonToken.START_ARRAY) {
                        throw JsonBody.wrong(name, "an array of token ids or of such arrays", parser);
                    }
                    found.list = parser.nextToken() == JsonToken.START_ARRAY;
                    if (!found.list) {
                        found.tokens.add(JsonBody.idsFromFirst(name, parser));
                    } else {
                        for (; parser.currentToken() != JsonToken.END_ARRAY; parser.nextToken()) {
                            found.tokens.add(JsonBody.ids(name + "[" + found.tokens.size() + "]", parser));
                        }
                    }
                }
                case "skip_special_tokens" -> found.skip = JsonBody.bool(name, parser);
                default -> parser.skipChildren();
            }
        });
        if (found.tokens == null) {
            throw invalid("tokens is missing: give an array of token ids.");
        }
        return new Detokenize(found.tokens, found.list, found.skip);
    }
}
