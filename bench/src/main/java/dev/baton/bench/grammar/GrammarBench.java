package dev.baton.bench.grammar;

import dev.baton.engine.grammar.Grammar;
import dev.baton.engine.grammar.GrammarCompiler;
import dev.baton.engine.grammar.GrammarVocabulary;
import dev.baton.engine.grammar.Matcher;
import dev.baton.engine.sample.Sampler;
import dev.baton.model.tokenizer.GgufVocabulary;
import dev.baton.model.tokenizer.Tokenizer;
import dev.baton.protocol.GrammarSpec;
import dev.baton.protocol.GrammarSpec.Kind;
import dev.baton.protocol.SamplingParams;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;

/**
 * CPU time of one constrained step over a real vocabulary: the mask, the choice of a token from the same row of logits without
 * and with the mask, greedy and drawn, the taking of the token, and
 * (which every row that is chosen on the host costs) the reading of the row. The "model" is random logits, so that answers wander through
 * their grammar; every grammar is run until it is warm, then again with other seeds. Arguments: a GGUF vocabulary ({@code
 * ggml-vocab-qwen2.gguf.gz}), nothing else.
 */
public final class GrammarBench {
    private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();
    private static final int WARM_STEPS = 6_000;
    private static final int STEPS = 6_000;
    private static final String[] COLUMNS = {
        "read the row",
        "mask",
        "take the token",
        "greedy choice",
        "greedy choice, masked",
        "all that the grammar adds",
        "draw",
        "draw, masked",
        "all that the grammar adds"
    };

    private GrammarBench() {}

    public static void main(String[] arguments) throws IOException {
        Path folder = Files.createTempDirectory("baton-vocabulary");
        Files.write(
                folder.resolve("tokenizer.json"),
                GgufVocabulary.read(Path.of(arguments[0])).tokenizerJson());
        Map<String, GrammarSpec> cases = new LinkedHashMap<>();
        cases.put("regex, a date", new GrammarSpec(Kind.REGEX, "\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}"));
        cases.put("regex, free words", new GrammarSpec(Kind.REGEX, "([A-Za-z]+ )*[A-Za-z]+\\."));
        cases.put("json object, any", new GrammarSpec(Kind.JSON_SCHEMA, "{\"type\":\"object\"}"));
        cases.put("json schema, 12 properties", new GrammarSpec(Kind.JSON_SCHEMA, schema()));
        cases.put("ebnf, arithmetic", new GrammarSpec(Kind.EBNF, """
                root ::= expr
                expr ::= term (("+" | "-") term)*
                term ::= factor (("*" | "/") factor)*
                factor ::= "(" expr ")" | [0-9]+ | [a-z]+
                """));
        try (Tokenizer tokenizer = Tokenizer.load(folder)) {
            int size = tokenizer.vocabSize();
            long before = System.nanoTime();
            GrammarVocabulary vocabulary = GrammarVocabulary.of(tokenizer, size, List.of(size - 1));
            System.out.printf(
                    Locale.ROOT,
                    "vocabulary of %d tokens, trie in %.0f ms%n",
                    size,
                    (System.nanoTime() - before) * 1e-6);
            System.out.printf(
                    "%-28s %10s %8s | p50 / p99 in us: %s%n",
                    "", "compile ms", "states", String.join(" | ", List.of(COLUMNS)));
            for (Map.Entry<String, GrammarSpec> one : cases.entrySet()) {
                measure(one.getKey(), one.getValue(), vocabulary, size);
            }
        }
    }

    private static String schema() {
        StringBuilder text = new StringBuilder("{\"type\":\"object\",\"properties\":{");
        String[] kinds = {
            "{\"type\":\"string\"}",
            "{\"type\":\"integer\",\"minimum\":0,\"maximum\":150}",
            "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":20},\"maxItems\":5}",
            "{\"enum\":[\"red\",\"green\",\"blue\"]}",
            "{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"number\"},\"y\":{\"type\":\"number\"}},\"required\":[\"x\",\"y\"]}",
            "{\"type\":\"string\",\"format\":\"date\"}"
        };
        for (int i = 0; i < 12; i++) {
            text.append(i > 0 ? "," : "")
                    .append("\"field_")
                    .append(i)
                    .append("\":")
                    .append(kinds[i % kinds.length]);
        }
        return text.append("},\"required\":[\"field_0\",\"field_1\",\"field_4\"]}")
                .toString();
    }

    private static void measure(String name, GrammarSpec spec, GrammarVocabulary vocabulary, int size) {
        try (GrammarCompiler compiler = new GrammarCompiler(() -> vocabulary)) {
            compiler.compile(new GrammarSpec(Kind.REGEX, "x"));
            long before = System.nanoTime();
            Grammar grammar = compiler.compile(spec);
            double compileMillis = (System.nanoTime() - before) * 1e-6;
            long[][] cold = run(grammar, vocabulary, size, WARM_STEPS, 1);
            long[][] warm = run(grammar, vocabulary, size, STEPS, 2);
            StringBuilder line = new StringBuilder();
            for (long[] column : warm) {
                line.append(String.format(
                        Locale.ROOT,
                        " | %.1f / %.1f",
                        column[column.length / 2] * 1e-3,
                        column[(int) (column.length * 0.99)] * 1e-3));
            }
            System.out.printf(
                    Locale.ROOT,
                    "%-28s %10.0f %8d%s   (first run: mask p99 %.0f, worst %.0f us)%n",
                    name,
                    compileMillis,
                    grammar.states(),
                    line,
                    cold[1][(int) (cold[1].length * 0.99)] * 1e-3,
                    cold[1][cold[1].length - 1] * 1e-3);
        }
    }

    /** [COLUMNS][steps] sorted nanoseconds. */
    private static long[][] run(Grammar grammar, GrammarVocabulary vocabulary, int size, int steps, long seed) {
        Random random = new Random(seed);
        float[] logits = new float[size];
        for (int i = 0; i < size; i++) {
            logits[i] = (float) random.nextGaussian();
        }
        Sampler sampler = new Sampler(size, List.of());
        float[] row = new float[size];
        MemorySegment memory = Arena.ofAuto().allocate(4L * size, 64);
        long[] mask = new long[vocabulary.maskWords()];
        long[][] nanos = new long[COLUMNS.length][steps];
        SamplingParams greedy = SamplingParams.greedy(1);
        SamplingParams drawn = greedy.toBuilder().temperature(1).build();
        int[] none = {0};
        Matcher matcher = grammar.matcher();
        for (int i = 0; i < steps; i++) {
            if (i % 100 == 0) {
                matcher = grammar.matcher();
            }
            // Another token is the best one in each step.
            int turn = random.nextInt(size);
            System.arraycopy(logits, turn, row, 0, size - turn);
            System.arraycopy(logits, 0, row, size - turn, turn);
            long t0 = THREADS.getCurrentThreadCpuTime();
            matcher.allowed(mask);
            long t1 = THREADS.getCurrentThreadCpuTime();
            sampler.choose(row, greedy, none, 1, 1, 0);
            long t2 = THREADS.getCurrentThreadCpuTime();
            int id = sampler.choose(row, greedy, none, 1, 1, 0, mask);
            long t3 = THREADS.getCurrentThreadCpuTime();
            matcher.accept(id);
            long t4 = THREADS.getCurrentThreadCpuTime();
            sampler.choose(row, drawn, none, 1, 1, i);
            long t5 = THREADS.getCurrentThreadCpuTime();
            sampler.choose(row, drawn, none, 1, 1, i, mask);
            long t6 = THREADS.getCurrentThreadCpuTime();
            MemorySegment.copy(memory, ValueLayout.JAVA_FLOAT, 0, row, 0, size);
            long t7 = THREADS.getCurrentThreadCpuTime();
            long[] costs = {
                t7 - t6,
                t1 - t0,
                t4 - t3,
                t2 - t1,
                t3 - t2,
                t1 - t0 + t4 - t3 + (t3 - t2) - (t2 - t1),
                t5 - t4,
                t6 - t5,
                t1 - t0 + t4 - t3 + (t6 - t5) - (t5 - t4)
            };
            for (int c = 0; c < costs.length; c++) {
                nanos[c][i] = costs[c];
            }
            if (matcher.mustEnd()) {
                matcher = grammar.matcher();
            }
        }
        for (long[] column : nanos) {
            Arrays.sort(column);
        }
        return nanos;
    }
}
