package dev.baton.model.template;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.model.ModelException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ChatTemplateTest {
    private static final String TURNS = """
            {%- for message in messages %}
            {{- '<|' + message['role'] + '|>' + message.content + eos_token }}
            {%- endfor %}
            {%- if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}""";

    private static void assertFails(String template, String... parts) {
        assertThatThrownBy(
                        () -> ChatTemplate.of(template, "chat_template.jinja").render(Map.of("n", 1)))
                .isInstanceOfSatisfying(
                        ModelException.class, e -> assertThat(e.code()).isEqualTo(ModelException.Code.TEMPLATE))
                .hasMessageContainingAll(parts);
    }

    @Test
    void rendersAConversationWithVariablesOfTheModel() {
        ChatTemplate template = ChatTemplate.of(TURNS, "t");
        List<Map<String, String>> messages =
                List.of(Map.of("role", "user", "content", "Hi"), Map.of("role", "assistant", "content", "Hello"));
        assertThat(template.render(messages, null, true, Map.of("eos_token", "</s>")))
                .isEqualTo("<|user|>Hi</s><|assistant|>Hello</s><|assistant|>");
        assertThat(template.render(messages, null, false, Map.of("eos_token", "")))
                .isEqualTo("<|user|>Hi<|assistant|>Hello");
    }

    @Test
    void toolsAndDocumentsAreNoneWhenThereAreNone() {
        ChatTemplate template =
                ChatTemplate.of("{{ tools is none }} {{ documents is none }} {{ other is defined }}", "t");
        assertThat(template.render(List.of(), null, false, Map.of())).isEqualTo("True True False");
        assertThat(template.render(List.of(), List.of(Map.of("type", "function")), false, Map.of()))
                .isEqualTo("False True False");
    }

    @Test
    void aFailureNamesTheKindAndQuotesTheLine() {
        assertFails(
                "line one\n{% set x = 1 %}\n  {{ missing.content }}\n",
                "chat_template.jinja, line 3", "UndefinedError: 'missing' is undefined", "{{ missing.content }}");
        assertFails("a\n{{ raise_exception('Roles must alternate') }}", "line 2", "Roles must alternate");
        assertFails("a\n\n{% for x in %}", "line 3", "TemplateSyntaxError", "{% for x in %}");
        assertFails("{% macro m() %}\n{{ n + 'a' }}\n{% endmacro %}\n{{ m() }}", "line 2", "TypeError");
        assertFails("{{ 'a'.encode() }}", "method encode of str is not supported");
    }

    @Test
    void endlessRecursionFailsInsteadOfEndingTheProgram() {
        assertFails("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "RecursionError");
        assertFails("{{ " + "(".repeat(100_000) + "1" + ")".repeat(100_000) + " }}", "RecursionError");
    }

    @Test
    void longLiteralsAreRead() {
        String text = "a\\n".repeat(100_000);
        assertThat(ChatTemplate.of("{{ '" + text + "'|length }}", "t").render(Map.of()))
                .isEqualTo("200000");
    }

    @Test
    void hugeResultsFailInsteadOfFillingTheMemory() {
        assertFails("{{ 'x' * 1000000000 }}", "MemoryError");
        assertFails("{{ range(100000000)|list }}", "OverflowError");
        assertFails("{{ 9223372036854775807 + 1 }}", "OverflowError");
    }

    @Test
    void oneTemplateServesSeveralThreads() throws Exception {
        ChatTemplate template = ChatTemplate.of(
                "{% set ns = namespace(c=0) %}{% for i in range(n) %}{% set ns.c = ns.c + i %}{% endfor %}{{ ns.c }}",
                "t");
        try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
            List<Callable<String>> tasks = IntStream.range(0, 200)
                    .mapToObj(i -> (Callable<String>) () -> template.render(Map.of("n", i)))
                    .toList();
            List<Future<String>> results = threads.invokeAll(tasks, 60, TimeUnit.SECONDS);
            for (int i = 0; i < results.size(); i++) {
                assertThat(results.get(i).get()).isEqualTo(Integer.toString(i * (i - 1) / 2));
            }
        }
    }

    @Test
    void inputsAreNotChanged() {
        assertFails("{% set x = [1] %}{{ x.append(2) }}", "SecurityError");
        assertFails("{{ {'a': 1}.update({'b': 2}) }}", "SecurityError");
        assertFails("{{ ''.__class__.__mro__ }}", "SecurityError");
    }

    @Test
    void configGivesTemplatesByNameAndSpecialTokens(@TempDir Path folder) throws IOException {
        Path config = folder.resolve("tokenizer_config.json");
        assertThat(TokenizerConfig.read(folder).hasChatTemplate()).isFalse();
        Files.writeString(config, """
                {"bos_token": "<s>", "eos_token": {"content": "</s>", "special": true}, "pad_token": null,
                 "chat_template": "one {{ bos_token }}"}""");
        TokenizerConfig single = TokenizerConfig.read(folder);
        assertThat(single.specialTokens()).containsOnly(Map.entry("bos_token", "<s>"), Map.entry("eos_token", "</s>"));
        assertThat(single.chatTemplate(true).render(single.specialTokens())).isEqualTo("one <s>");

        Files.writeString(config, """
                {"chat_template": [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"}]}""");
        TokenizerConfig several = TokenizerConfig.read(folder);
        assertThat(several.chatTemplate(false).render(Map.of())).isEqualTo("plain");
        assertThat(several.chatTemplate(true).render(Map.of())).isEqualTo("tools");

        Files.writeString(folder.resolve("chat_template.jinja"), "from the file");
        assertThat(TokenizerConfig.read(folder).chatTemplate(false).render(Map.of()))
                .isEqualTo("from the file");
    }

    @Test
    void aMissingTemplateAndAMalformedFileAreNamed(@TempDir Path folder) throws IOException {
        TokenizerConfig none = TokenizerConfig.read(folder);
        assertThatThrownBy(() -> none.chatTemplate(false))
                .isInstanceOf(ModelException.class)
                .hasMessageContainingAll(folder.toString(), "no chat template", "--chat-template");
        Files.writeString(folder.resolve("tokenizer_config.json"), "{");
        assertThatThrownBy(() -> TokenizerConfig.read(folder)).hasMessageContaining("tokenizer_config.json");
        Files.writeString(folder.resolve("tokenizer_config.json"), "{\"chat_template\": [1]}");
        assertThatThrownBy(() -> TokenizerConfig.read(folder)).hasMessageContaining("chat_template");
    }
}
