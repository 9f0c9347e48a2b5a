package dev.baton.protocol.request;

import static dev.baton.protocol.request.JsonBody.invalid;
import static dev.baton.protocol.request.JsonBody.isNull;

import dev.baton.protocol.SamplingParams;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * The body of {@code /v1/chat/completions}.
 *
 * @param messages as the chat template reads them: {@code role}, {@code content} (a string or parts) and what else
 *     the client put there
 * @param options shared with completions
 * @param logprobs the answer's tokens come with their log probabilities
 * @param topLogprobs alternatives a position
 * @param continueFinalMessage the last message is the beginning of the answer
 * @param templateArguments {@code chat_template_kwargs}
 * @param tools functions that the model may call; null for none
 * @param separateReasoning reasoning is told apart from the answer where the server has a parser for it
 * @param streamReasoning reasoning is streamed as it comes, not in one piece
 */
public record ChatRequest(
        List<Map<String, Object>> messages,
        OpenAiOptions options,
        boolean logprobs,
        int topLogprobs,
        boolean continueFinalMessage,
        Map<String, Object> templateArguments,
        @Nullable ToolUse tools,
        boolean separateReasoning,
        boolean streamReasoning) {

    /**
     * Reads and checks a body.
     *
     * @param defaults the model's own sampling defaults; {@code maxNewTokens} is the rest of the context when the body
     *     does not say
     * @throws dev.baton.protocol.ProtocolException INVALID_REQUEST naming the field
     */
    public static ChatRequest read(byte[] body, SamplingParams defaults) {
        var reader = new Reader(defaults.withMaxNewTokens(GenerateRequest.REST_OF_CONTEXT));
        JsonBody.object(body, false, reader::read);
        if (reader.messages == null || reader.messages.isEmpty()) {
            throw invalid("messages must be an array with at least one message.");
        }
        if (reader.topLogprobs > 0 && !reader.logprobs) {
            throw invalid("top_logprobs needs logprobs to be true.");
        }
        return new ChatRequest(
                reader.messages,
                reader.fields.options(),
                reader.logprobs,
                reader.topLogprobs,
                reader.continueFinalMessage,
                reader.templateArguments,
                ToolUse.of(reader.tools, reader.toolChoice, reader.parallelToolCalls),
                reader.separateReasoning,
                reader.streamReasoning);
    }

    private static final class Reader {
        final OpenAiFields fields;

        @Nullable
        List<Map<String, Object>> messages;

        boolean logprobs;
        int topLogprobs;
        boolean continueFinalMessage;

        @Nullable
        Object tools;

        @Nullable
        Object toolChoice;

        boolean parallelToolCalls = true;
        boolean separateReasoning = true;
        boolean streamReasoning = true;
        Map<String, Object> templateArguments = Map.of();

        Reader(SamplingParams defaults) {
            fields = new OpenAiFields(defaults);
        }

        void read(String name, JsonParser parser) {
            if (isNull(parser)) {
                return;
            }
            switch (name) {
                case "messages" -> messages = messages(parser);
                case "logprobs" -> logprobs = JsonBody.bool(name, parser);
                case "top_logprobs" -> topLogprobs = topLogprobs(parser);
                case "continue_final_message" -> continueFinalMessage = JsonBody.bool(name, parser);
                case "chat_template_kwargs" -> templateArguments = object(name, parser);
                case "tools" -> tools = JsonBody.any(parser);
                case "tool_choice" -> toolChoice = JsonBody.any(parser);
                case "parallel_tool_calls" -> parallelToolCalls = JsonBody.bool(name, parser);
                case "separate_reasoning" -> separateReasoning = JsonBody.bool(name, parser);
                case "stream_reasoning" -> streamReasoning = JsonBody.bool(name, parser);
                default -> fields.read(name, parser);
            }
        }

        private static int topLogprobs(JsonParser parser) {
            int value = JsonBody.integer("top_logprobs", parser);
            if (value < 0 || value > 1_000) {
                throw invalid("top_logprobs must be in [0, 1000], got " + value + ".");
            }
            return value;
        }

        private static List<Map<String, Object>> messages(JsonParser parser) {
            List<Map<String, Object>> list = new java.util.ArrayList<>();
            JsonBody.array("messages", "an array of messages", parser, (name, p) -> {
                Map<String, Object> message = object(name, p);
                if (!(message.get("role") instanceof String)) {
                    throw invalid(name + ".role must be a string, got " + message.get("role") + ".");
                }
                checkContent(name, message.get("content"));
                readArguments(message);
                list.add(message);
            });
            return list;
        }

        /** Templates write arguments out themselves, so those of earlier calls are handed to them as objects. */
        private static void readArguments(Map<String, Object> message) {
            if (message.get("tool_calls") instanceof List<?> calls) {
                for (Object call : calls) {
                    if (call instanceof Map<?, ?> map && map.get("function") instanceof Map<?, ?> function) {
                        @SuppressWarnings("unchecked") // JsonBody.any makes Map<String, Object> of an object
                        Map<String, Object> fields = (Map<String, Object>) function;
                        if (fields.get("arguments") instanceof String text) {
                            Object parsed = JsonBody.parsed(text);
                            fields.put("arguments", parsed == null ? text : parsed);
                        }
                    }
                }
            }
        }

        /** Text, nothing, or parts that are all text: a model of this version sees no pictures. */
        private static void checkContent(String name, @Nullable Object content) {
            if (content == null || content instanceof String) {
                return;
            }
            if (!(content instanceof List<?> parts)) {
                throw invalid(name + ".content must be a string or an array of parts.");
            }
            for (Object part : parts) {
                boolean text = part instanceof Map<?, ?> map
                        && "text".equals(map.get("type"))
                        && map.get("text") instanceof String;
                if (!text) {
                    throw invalid(name + ".content: parts other than {\"type\":\"text\",\"text\":...}"
                            + " are not supported yet.");
                }
            }
        }

        @SuppressWarnings("unchecked") // JsonBody.any makes Map<String, Object> of an object
        private static Map<String, Object> object(String name, JsonParser parser) {
            if (parser.currentToken() != JsonToken.START_OBJECT) {
                throw JsonBody.wrong(name, "an object", parser);
            }
            return (Map<String, Object>) java.util.Objects.requireNonNull(JsonBody.any(parser));
        }
    }
}
