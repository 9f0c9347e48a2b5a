package dev.baton.protocol.request;

import static dev.baton.protocol.request.JsonBody.bool;
import static dev.baton.protocol.request.JsonBody.integer;
import static dev.baton.protocol.request.JsonBody.invalid;
import static dev.baton.protocol.request.JsonBody.isNull;

import dev.baton.protocol.SamplingParams;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.BiFunction;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/** The fields of a {@code /generate} body while it is read. A field holds null, one value, or a list with one an item. */
final class GenerateFields {
    /** Beyond this a batch is a mistake: each item costs a request. */
    private static final int MAX_ITEMS = 65_536;

    /** Read and heeded. */
    private static final Set<String> HEEDED = Set.of(
            "text",
            "input_ids",
            "sampling_params",
            "rid",
            "return_logprob",
            "logprob_start_len",
            "top_logprobs_num",
            "token_ids_logprob",
            "return_text_in_logprobs",
            "stream",
            "bootstrap_host",
            "bootstrap_port",
            "bootstrap_room",
            "extra_key",
            "data_parallel_rank",
            "routed_dp_rank");

    /** Known names that change nothing here. */
    private static final Set<String> PASSED_OVER = Set.of(
            "log_metrics",
            "modalities",
            "bootstrap_pair_key",
            "decode_tp_size",
            "reasoning",
            "background",
            "conversation_id",
            "priority",
            "no_logs",
            "custom_labels",
            "return_bytes",
            "return_entropy",
            "disagg_prefill_dp_rank",
            "model",
            "user");

    /** Known names that ask for something this version does not do. */
    private static final Set<String> NOT_YET = Set.of(
            "input_embeds",
            "image_data",
            "video_data",
            "audio_data",
            "return_hidden_states",
            "session_params",
            "lora_path",
            "custom_logit_processor",
            "return_routed_experts");

    private static final Set<String> ALL = all();

    private @Nullable Object text;
    private @Nullable Object inputIds;
    private @Nullable Object sampling;
    private @Nullable Object rid;
    private @Nullable Object returnLogprob;
    private @Nullable Object logprobStart;
    private @Nullable Object topLogprobs;
    private @Nullable Object tokenIdsLogprob;
    private @Nullable Object host;
    private @Nullable Object port;
    private @Nullable Object room;
    private @Nullable Object extraKey;
    private @Nullable Integer dataParallelRank;
    private boolean embeds;
    private boolean textInLogprobs;
    private boolean stream;

    GenerateFields(byte[] body) {
        JsonBody.object(body, false, this::read);
    }

    private static Set<String> all() {
        var names = new java.util.TreeSet<String>();
        names.addAll(HEEDED);
        names.addAll(PASSED_OVER);
        names.addAll(NOT_YET);
        return names;
    }

    private void read(String name, JsonParser parser) {
        if (HEEDED.contains(name)) {
            if (!isNull(parser)) {
                heed(name, parser);
            }
        } else if (NOT_YET.contains(name)) {
            embeds |= name.equals("input_embeds") && !isNull(parser);
            SamplingFields.refuseUnlessEmpty(name, parser);
        } else if (PASSED_OVER.contains(name)) {
            parser.skipChildren();
        } else {
            throw invalid("Unknown field '" + name + "'." + JsonBody.meant(name, ALL));
        }
    }

    private void heed(String name, JsonParser parser) {
        switch (name) {
            case "text" -> text = oneOrList(name, parser, "a string", JsonBody::string);
            case "input_ids" -> inputIds = idsOrLists(name, parser);
            case "sampling_params" -> sampling = oneOrList(name, parser, "an object", SamplingFields::nativeObject);
            case "rid" -> rid = oneOrList(name, parser, "a string", JsonBody::string);
            case "return_logprob" -> returnLogprob = oneOrList(name, parser, "true or false", JsonBody::bool);
            case "logprob_start_len" -> logprobStart = oneOrList(name, parser, "an integer", JsonBody::integer);
            case "top_logprobs_num" -> topLogprobs = oneOrList(name, parser, "an integer", JsonBody::integer);
            case "token_ids_logprob" -> tokenIdsLogprob = idsOrLists(name, parser);
            case "return_text_in_logprobs" -> textInLogprobs = bool(name, parser);
            case "stream" -> stream = bool(name, parser);
            case "bootstrap_host" -> host = oneOrList(name, parser, "a string", JsonBody::string);
            case "bootstrap_port" -> port = oneOrList(name, parser, "an integer", JsonBody::integer);
            case "bootstrap_room" -> room = oneOrList(name, parser, "an integer", JsonBody::longInteger);
            case "extra_key" -> extraKey = oneOrList(name, parser, "a string", JsonBody::string);
            case "data_parallel_rank", "routed_dp_rank" -> dataParallelRank = integer(name, parser);
            default -> throw new IllegalStateException(name);
        }
    }

    GenerateRequest request() {
        if (embeds || (text == null) == (inputIds == null)) {
            throw invalid("Either text, input_ids or input_embeds should be provided.");
        }
        Object prompts = text != null ? text : inputIds;
        boolean batch = prompts instanceof List<?>;
        int count = prompts instanceof List<?> list ? list.size() : 1;
        if (count == 0) {
            throw invalid((text != null ? "text" : "input_ids") + " is an empty list: a batch needs a prompt.");
        }
        if (count > MAX_ITEMS) {
            throw invalid("A batch may hold " + MAX_ITEMS + " prompts, got " + count + ".");
        }
        List<GenerateRequest.Item> items = new ArrayList<>(count);
        int interval = 0;
        for (int i = 0; i < count; i++) {
            SamplingFields fields = (SamplingFields) at("sampling_params", sampling, i, count, batch);
            if (fields != null) {
                interval = Math.max(interval, fields.streamInterval());
            }
            if (at(text != null ? "text" : "input_ids", prompts, i, count, batch) == null) {
                throw invalid((text != null ? "text[" : "input_ids[") + i + "] is null: a batch needs prompts.");
            }
            SamplingParams params = fields == null ? SamplingParams.DEFAULT : fields.params();
            items.add(new GenerateRequest.Item(
                    ridOf(i, count, batch),
                    text == null ? null : (String) at("text", text, i, count, batch),
                    inputIds == null ? null : (int[]) at("input_ids", inputIds, i, count, batch),
                    params,
                    logprobs(i, count, batch),
                    bootstrap(i, count, batch),
                    dataParallelRank,
                    (String) at("extra_key", extraKey, i, count, batch)));
        }
        return new GenerateRequest(items, batch, stream, interval, textInLogprobs);
    }

    private @Nullable String ridOf(int i, int count, boolean batch) {
        if (rid instanceof String name && batch) {
            return name + "_" + i;
        }
        return (String) at("rid", rid, i, count, batch);
    }

    private GenerateRequest.@Nullable Logprobs logprobs(int i, int count, boolean batch) {
        Object wanted = at("return_logprob", returnLogprob, i, count, batch);
        if (!Boolean.TRUE.equals(wanted)) {
            return null;
        }
        Integer start = (Integer) at("logprob_start_len", logprobStart, i, count, batch);
        Integer top = (Integer) at("top_logprobs_num", topLogprobs, i, count, batch);
        int[] ids = (int[]) at("token_ids_logprob", tokenIdsLogprob, i, count, batch);
        if (start != null && start < -1) {
            throw invalid("logprob_start_len must be at least -1, got " + start + ".");
        }
        if (top != null && (top < 0 || top > 1_000)) {
            throw invalid("top_logprobs_num must be in [0, 1000], got " + top + ".");
        }
        return new GenerateRequest.Logprobs(
                start == null ? -1 : start, top == null ? 0 : top, ids == null ? new int[0] : ids);
    }

    /** A scalar room is spread over a batch as room, room + 1 and so on. */
    private BootstrapFields bootstrap(int i, int count, boolean batch) {
        if (host == null && port == null && room == null) {
            return BootstrapFields.NONE;
        }
        Long key = room instanceof Long first && batch
                ? Long.valueOf((first + i) & Long.MAX_VALUE)
                : (Long) at("bootstrap_room", room, i, count, batch);
        if (key != null && key < 0) {
            throw invalid("bootstrap_room must be in [0, 2^63), got " + key + ".");
        }
        Integer at = (Integer) at("bootstrap_port", port, i, count, batch);
        if (at != null && (at < 0 || at > 65_535)) {
            throw invalid("bootstrap_port must be in [0, 65535], got " + at + ".");
        }
        return new BootstrapFields((String) at("bootstrap_host", host, i, count, batch), at, key);
    }

    private static @Nullable Object at(String field, @Nullable Object value, int i, int count, boolean batch) {
        if (!(value instanceof List<?> list)) {
            return value;
        }
        if (!batch) {
            throw invalid(field + " is a list but the prompt is not: give one value, or a list of prompts.");
        }
        if (list.size() != count) {
            throw invalid(field + " has " + list.size() + " entries for " + count + " prompts.");
        }
        return list.get(i);
    }

    /** One value or a list of values (null allowed inside). */
    private static <T> Object oneOrList(
            String field, JsonParser parser, String what, BiFunction<String, JsonParser, T> reader) {
        if (parser.currentToken() != JsonToken.START_ARRAY) {
            return reader.apply(field, parser);
        }
        List<@Nullable T> list = new ArrayList<>();
        JsonBody.array(field, what, parser, (name, p) -> list.add(isNull(p) ? null : reader.apply(name, p)));
        return list;
    }

    /** {@code [1,2]} is an int array, {@code [[1],[2]]} a list of them; {@code []} is an empty prompt. */
    private static Object idsOrLists(String field, JsonParser parser) {
        if (parser.currentToken() != JsonToken.START_ARRAY) {
            throw JsonBody.wrong(field, "an array of token ids or of such arrays", parser);
        }
        JsonToken first = parser.nextToken();
        if (first != JsonToken.START_ARRAY && first != JsonToken.VALUE_NULL) {
            return JsonBody.idsFromFirst(field, parser);
        }
        List<int @Nullable []> lists = new ArrayList<>();
        for (int i = 0; parser.currentToken() != JsonToken.END_ARRAY; i++, parser.nextToken()) {
            lists.add(isNull(parser) ? null : JsonBody.ids(field + "[" + i + "]", parser));
        }
        return lists;
    }
}
