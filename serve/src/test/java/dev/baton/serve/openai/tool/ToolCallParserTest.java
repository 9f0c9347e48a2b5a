package dev.baton.serve.openai.tool;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

class ToolCallParserTest {
    private static final Set<String> FUNCTIONS = Set.of("add", "get_weather");
    private static final JsonMapper JSON = new JsonMapper();

    /** What was told, with neighbouring pieces joined. */
    private static final class Told implements ToolEvents {
        final StringBuilder text = new StringBuilder();
        final List<String> names = new ArrayList<>();
        final List<StringBuilder> arguments = new ArrayList<>();
        final List<String> order = new ArrayList<>();

        @Override
        public void text(String piece) {
            text.append(piece);
            if (order.isEmpty() || !order.getLast().equals("text")) {
                order.add("text");
            }
        }

        @Override
        public void begin(int call, String function) {
            assertThat(call).isEqualTo(names.size());
            names.add(function);
            arguments.add(new StringBuilder());
            order.add("begin" + call);
        }

        @Override
        public void arguments(int call, String json) {
            assertThat(call).isEqualTo(names.size() - 1);
            arguments.get(call).append(json);
        }

        @Override
        public void end(int call) {
            order.add("end" + call);
        }

        @Override
        public void broken(int call, String raw) {
            order.add("broken" + call);
        }

        @Override
        public String toString() {
            return text + "|" + names + arguments + order;
        }
    }

    private static Told parse(ToolCallFormat format, String text, int... cuts) {
        ToolCallParser parser = new ToolCallParser(format, FUNCTIONS);
        Told told = new Told();
        int from = 0;
        for (int cut : cuts) {
            parser.push(text.substring(from, cut), told);
            from = cut;
        }
        parser.push(text.substring(from), told);
        parser.end(told);
        return told;
    }

    private static String arguments(Random random) {
        ObjectNode node = JSON.createObjectNode();
        if (random.nextBoolean()) {
            node.put("city", "Zürich \"old\" {town} </tool_call> \n ]").put("n", random.nextInt(100) / 4.0);
        }
        if (random.nextBoolean()) {
            node.putArray("list")
                    .add(true)
                    .addNull()
                    .addObject()
                    .put("name", "x")
                    .put("arguments", "y");
        }
        return node.toString();
    }

    private static String write(ToolCallFormat format, Random random, List<String> names, List<String> arguments) {
        StringBuilder text = new StringBuilder();
        boolean prose = format == ToolCallFormat.QWEN || format == ToolCallFormat.DEEPSEEKV3;
        text.append(prose && random.nextBoolean() ? "Let me look < that up.\n" : "");
        text.append(format.grammarPrefix());
        for (int i = 0, n = 1 + random.nextInt(3); i < n; i++) {
            String name = random.nextBoolean() ? "add" : "get_weather";
            String json = arguments(random);
            names.add(name);
            arguments.add(json);
            text.append(i > 0 ? format.grammarSeparator() : "");
            text.append(format.grammarBegin(format.nameEnd() == null ? "\"" + name + "\"" : name));
            text.append(json).append(format.grammarEnd());
        }
        return text.append(format.grammarSuffix()).toString();
    }

    @ParameterizedTest
    @EnumSource
    void findsTheSameCallsHoweverTheTextIsCut(ToolCallFormat format) {
        Random random = new Random(17);
        for (int round = 0; round < 60; round++) {
            List<String> names = new ArrayList<>();
            List<String> arguments = new ArrayList<>();
            String text = write(format, random, names, arguments);
            Told whole = parse(format, text);
            assertThat(whole.names).as(text).isEqualTo(names);
            assertThat(whole.arguments.stream().map(Object::toString).toList()).isEqualTo(arguments);
            assertThat(whole.text.toString()).isIn("", "Let me look < that up.");
            for (int cut = 0; cut <= text.length(); cut++) {
                assertThat(parse(format, text, cut).toString()).isEqualTo(whole.toString());
            }
            int a = random.nextInt(text.length());
            int b = a + random.nextInt(text.length() - a);
            assertThat(parse(format, text, a, b).toString()).isEqualTo(whole.toString());
        }
    }

    @ParameterizedTest
    @EnumSource
    void damagedTextLosesNothingAndIsReadAlikeHoweverItIsCut(ToolCallFormat format) {
        Random random = new Random(23);
        for (int round = 0; round < 200; round++) {
            StringBuilder text = new StringBuilder(write(format, random, new ArrayList<>(), new ArrayList<>()));
            for (int i = 0, n = 1 + random.nextInt(2); i < n; i++) {
                int at = random.nextInt(text.length());
                if (random.nextBoolean()) {
                    text.deleteCharAt(at);
                } else {
                    text.insert(at, "{}<\"x,:\\".charAt(random.nextInt(8)));
                }
            }
            Told whole = parse(format, text.toString());
            for (int cut = 0; cut <= text.length(); cut += 1 + random.nextInt(5)) {
                assertThat(parse(format, text.toString(), cut).toString())
                        .as(text.toString())
                        .isEqualTo(whole.toString());
            }
            for (int call = 0; call < whole.names.size(); call++) {
                if (whole.order.contains("end" + call)) {
                    assertThat(JSON.readTree(whole.arguments.get(call).toString())
                                    .isObject())
                            .isTrue();
                }
            }
        }
    }

    @Test
    void whatIsNoCallIsText() {
        for (String text : List.of(
                "no call at all",
                "a < b and <tool_cal is not",
                "<tool_call>\nnot json</tool_call>",
                "<tool_call>\n{\"name\": \"unknown\", \"arguments\": {}}\n</tool_call>",
                "<tool_call>\n{\"name\": \"add\", \"arguments\": 3}\n</tool_call>",
                "<tool_call>\n{\"nam",
                "  trailing space \n")) {
            Told told = parse(ToolCallFormat.QWEN, text);
            assertThat(told.text.toString()).isEqualTo(text);
            assertThat(told.names).isEmpty();
        }
        String json = "{\"answer\": {\"name\": \"add\", \"parameters\": {}}}";
        assertThat(parse(ToolCallFormat.LLAMA3, json).text.toString()).isEqualTo(json);
        assertThat(parse(ToolCallFormat.LLAMA3, "x {\"name\":\"add\",\"parameters\":{}}").names)
                .isEmpty();
    }

    @Test
    void otherWritingsOfCalls() {
        Told late = parse(
                ToolCallFormat.QWEN, "<tool_call>{\"arguments\":{\"a\":1},\"id\":7,\"name\":\"add\"}</tool_call> ok");
        assertThat(late.names).containsExactly("add");
        assertThat(late.arguments.getFirst().toString()).isEqualTo("{\"a\":1}");
        assertThat(late.text.toString()).isEqualTo(" ok");
        assertThat(parse(ToolCallFormat.QWEN, "<tool_call>{\"name\":\"add\"}")
                        .arguments
                        .getFirst()
                        .toString())
                .isEqualTo("{}");
        Told tagged = parse(ToolCallFormat.LLAMA3, "<|python_tag|>{\"name\":\"add\",\"parameters\":{\"a\":2}}");
        assertThat(tagged.arguments.getFirst().toString()).isEqualTo("{\"a\":2}");
        Told cut = parse(ToolCallFormat.QWEN, "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": \"b");
        assertThat(cut.names).containsExactly("add");
        assertThat(cut.order).containsExactly("begin0", "broken0");
    }
}
