package dev.baton.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.model.DType;
import dev.baton.tensor.Ops;
import dev.baton.tensor.SampledRows;
import dev.baton.tensor.StepExchange;
import dev.baton.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Collections;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Sampling on the device chooses what the scalar sampler chooses, number for number, and draws as the weights say. */
@Tag("gpu")
class SamplingOpsTest {
    private static final int POSITIONS = 700;
    private static final int SEQUENCES = 9;

    private static Ops scalar;
    private static Ops cuda;
    private static Twin twin;

    @BeforeAll
    static void open() {
        twin = Twin.open();
        scalar = twin.scalar();
        cuda = twin.cuda();
    }

    @AfterAll
    static void close() {
        if (twin != null) {
            twin.close();
        }
    }

    /** Parameters that begin as "draw from everything". */
    private static int[] parameters(Random random, int tableRow) {
        int[] row = new int[SampledRows.COLUMNS];
        row[SampledRows.FACTOR] = Float.floatToRawIntBits(1 / (0.2f + 2 * random.nextFloat()));
        row[SampledRows.TOP_P] = Float.floatToRawIntBits(1);
        row[SampledRows.REPETITION_PENALTY] = Float.floatToRawIntBits(1);
        row[SampledRows.UNIFORM_LOW] = random.nextInt() & -1 << 11;
        row[SampledRows.UNIFORM_HIGH] = random.nextInt();
        row[SampledRows.ROW] = tableRow;
        row[SampledRows.LENGTH] = 1 + random.nextInt(POSITIONS);
        row[SampledRows.PROMPT] = random.nextInt(row[SampledRows.LENGTH] + 1);
        return row;
    }

    private static void vary(int[] row, Random random, int columns) {
        if (random.nextInt(8) == 0) {
            row[SampledRows.FACTOR] = 0;
        }
        if (random.nextBoolean()) {
            row[SampledRows.TOP_K] = 1 + random.nextInt(random.nextBoolean() ? 60 : columns);
        }
        if (random.nextBoolean()) {
            row[SampledRows.TOP_P] = Float.floatToRawIntBits(0.01f + 0.99f * random.nextFloat());
        }
        if (random.nextInt(3) == 0) {
            row[SampledRows.MIN_P] = Float.floatToRawIntBits(random.nextFloat() * 0.3f);
        }
        if (random.nextBoolean()) {
            row[SampledRows.REPETITION_PENALTY] = Float.floatToRawIntBits(0.7f + random.nextFloat());
            row[SampledRows.FREQUENCY_PENALTY] = Float.floatToRawIntBits(random.nextFloat() - 0.5f);
            row[SampledRows.PRESENCE_PENALTY] = Float.floatToRawIntBits(2 * random.nextFloat() - 1);
        }
    }

    /** Logits of different kinds: wide, flat, few values with many ties, minus infinity nearly everywhere. */
    private static void shape(Twin.Pair logits, Random random) {
        int columns = logits.host().columns();
        for (int b = 0; b < logits.host().rows(); b++) {
            float scale = new float[] {10, 1, 0.001f, 30}[random.nextInt(4)];
            int kind = random.nextInt(4);
            for (int i = 0; i < columns; i++) {
                long at = (long) b * columns + i;
                float x = logits.host().memory().getAtIndex(ValueLayout.JAVA_FLOAT, at) * scale;
                x = kind == 0 ? Math.round(x) : kind == 1 && random.nextInt(50) > 0 ? Float.NEGATIVE_INFINITY : x;
                logits.host().memory().setAtIndex(ValueLayout.JAVA_FLOAT, at, x);
            }
        }
        twin.device().toDevice(logits.host().memory(), logits.device());
    }

    @Test
    void choosesWhatTheScalarSamplerChooses() {
        Random random = twin.random();
        for (int columns : new int[] {1, 2, 31, 1024, 5000, 32_003, 151_936}) {
            for (int round = 0; round < 6; round++) {
                Twin.Pair logits = twin.floats(DType.F32, SEQUENCES, columns, 0);
                shape(logits, random);
                int[] table = random.ints(SEQUENCES * POSITIONS, 0, Math.min(columns, 1 + random.nextInt(columns)))
                        .toArray();
                Twin.Pair tokens = twin.intMatrix(SEQUENCES, POSITIONS, table);
                int[] all = new int[SEQUENCES * SampledRows.COLUMNS];
                for (int b = 0; b < SEQUENCES; b++) {
                    int[] row = parameters(random, (b + 4) % SEQUENCES);
                    vary(row, random, columns);
                    System.arraycopy(row, 0, all, b * SampledRows.COLUMNS, row.length);
                }
                Twin.Pair parameters = twin.intMatrix(SEQUENCES, SampledRows.COLUMNS, all);
                Twin.Pair out = twin.ints(poison(SEQUENCES));
                cuda.sample(logits.device(), new SampledRows(parameters.device(), tokens.device()), out.device());
                scalar.sample(logits.host(), new SampledRows(parameters.host(), tokens.host()), out.host());
                assertThat(twin.ints(out.device()))
                        .as("vocabulary of %d, parameters %s", columns, Arrays.toString(all))
                        .containsExactly(out.host().memory().toArray(ValueLayout.JAVA_INT));
                assertThat(twin.values(logits.device()))
                        .as("penalties")
                        .isEqualTo(logits.host().memory().toArray(ValueLayout.JAVA_FLOAT));
            }
        }
    }

    @Test
    void nothingCanBeChosenWhereNoLogitIsANumber() {
        Twin.Pair logits = twin.floats(DType.F32, 2, 100, 0);
        logits.host().memory().fill((byte) 0xff);
        for (int i = 0; i < 100; i++) {
            logits.host().memory().setAtIndex(ValueLayout.JAVA_FLOAT, 100 + i, Float.NEGATIVE_INFINITY);
        }
        twin.device().toDevice(logits.host().memory(), logits.device());
        Twin.Pair tokens = twin.intMatrix(1, 1, 0);
        int[] all = new int[2 * SampledRows.COLUMNS];
        System.arraycopy(parameters(twin.random(), 0), 0, all, 0, SampledRows.COLUMNS);
        System.arraycopy(parameters(twin.random(), 0), 0, all, SampledRows.COLUMNS, SampledRows.COLUMNS);
        Twin.Pair out = twin.ints(poison(2));
        Twin.Pair parameters = twin.intMatrix(2, SampledRows.COLUMNS, all);
        cuda.sample(logits.device(), new SampledRows(parameters.device(), tokens.device()), out.device());
        assertThat(twin.ints(out.device())).containsExactly(-1, -1);
    }

    /** Pearson's test over 40 draws a row of 500 rows: the limit is passed once in a million runs. */
    @Test
    void drawsAsTheWeightsSay() {
        Random random = twin.random();
        int kinds = 24;
        int columns = 1000;
        int rows = 500;
        double[] expected = new double[kinds];
        float[] distribution = new float[columns];
        Arrays.fill(distribution, Float.NEGATIVE_INFINITY);
        double sum = 0;
        for (int i = 0; i < kinds; i++) {
            distribution[i * 41] = 2 * random.nextFloat();
            expected[i] = Math.exp(distribution[i * 41] / 0.8);
            sum += expected[i];
        }
        long[] drawn = new long[kinds];
        Twin.Pair tokens = twin.intMatrix(1, 1, 0);
        for (int round = 0; round < 40; round++) {
            Twin.Pair logits = twin.floats(DType.F32, rows, columns, 0);
            int[] all = new int[rows * SampledRows.COLUMNS];
            for (int b = 0; b < rows; b++) {
                for (int i = 0; i < columns; i++) {
                    logits.host().memory().setAtIndex(ValueLayout.JAVA_FLOAT, (long) b * columns + i, distribution[i]);
                }
                int[] row = parameters(random, 0);
                row[SampledRows.FACTOR] = Float.floatToRawIntBits(1 / 0.8f);
                System.arraycopy(row, 0, all, b * SampledRows.COLUMNS, row.length);
            }
            twin.device().toDevice(logits.host().memory(), logits.device());
            Twin.Pair parameters = twin.intMatrix(rows, SampledRows.COLUMNS, all);
            Twin.Pair out = twin.ints(poison(rows));
            cuda.sample(logits.device(), new SampledRows(parameters.device(), tokens.device()), out.device());
            for (int id : twin.ints(out.device())) {
                assertThat(id % 41).isZero();
                drawn[id / 41]++;
            }
        }
        double chiSquare = 0;
        for (int i = 0; i < kinds; i++) {
            double mean = 40.0 * rows * expected[i] / sum;
            chiSquare += (drawn[i] - mean) * (drawn[i] - mean) / mean;
        }
        // 23 degrees of freedom: P(X > 74) < 3e-7.
        assertThat(chiSquare).isLessThan(74);
    }

    @Test
    void stepsTakeTheirInputsAndLeaveTheirChoices() {
        int tokens = 500;
        int ints = 5 * tokens + 33;
        int[] inputs = twin.random().ints(2 * ints, 100, 200).toArray();
        int[] places = IntStream.range(0, 2000)
                .boxed()
                .collect(Collectors.collectingAndThen(Collectors.toList(), all -> {
                    Collections.shuffle(all, twin.random());
                    return all.stream().mapToInt(Integer::intValue).toArray();
                }));
        for (int turn = 0; turn < 2; turn++) {
            for (int t = 0; t < tokens; t++) {
                inputs[turn * ints + t] = t % 3 == 0 ? -1 : t;
                inputs[turn * ints + 3 * tokens + t] = places[turn * tokens + t];
            }
        }
        MemorySegment hostInputs = twin.device().hostBuffer(8L * ints);
        MemorySegment.copy(inputs, 0, hostInputs, ValueLayout.JAVA_INT, 0, 2 * ints);
        MemorySegment choices = twin.device().hostBuffer(8L * 300);
        Twin.Pair turns = twin.ints(0);
        StepExchange here = new StepExchange(
                Tensor.dense(hostInputs, DType.I32, 2, ints),
                Tensor.dense(twin.arena().allocate(8L * 300, 8), DType.I32, 2, 300),
                turns.host());
        StepExchange there = new StepExchange(here.inputs(), Tensor.dense(choices, DType.I32, 2, 300), turns.device());
        Twin.Pair tokenTable =
                twin.intMatrix(1, 2000, twin.random().ints(2000, 0, 100).toArray());
        Twin.Pair slotTable = twin.intMatrix(1, 2000, new int[2000]);
        for (int step = 0; step < 2; step++) {
            Twin.Pair packed = twin.ints(poison(ints));
            Twin.Pair chosen = twin.ints(twin.random().ints(250, 0, 9999).toArray());
            Twin.Pair left = twin.ints(Arrays.copyOfRange(places, 1000 + step * 250, 1250 + step * 250));
            cuda.beginStep(there, packed.device(), tokens, tokenTable.device(), slotTable.device());
            cuda.endStep(there, chosen.device(), left.device(), 50, tokenTable.device());
            scalar.beginStep(here, packed.host(), tokens, tokenTable.host(), slotTable.host());
            scalar.endStep(here, chosen.host(), left.host(), 50, tokenTable.host());
            for (Twin.Pair pair : new Twin.Pair[] {packed, tokenTable, slotTable, turns}) {
                assertThat(twin.ints(pair.device()))
                        .containsExactly(pair.host().memory().toArray(ValueLayout.JAVA_INT));
            }
            assertThat(choices.asSlice((step * 300L + 50) * 4, 1000).toArray(ValueLayout.JAVA_INT))
                    .containsExactly(chosen.host().memory().toArray(ValueLayout.JAVA_INT));
        }
    }

    private static int[] poison(int count) {
        int[] values = new int[count];
        Arrays.fill(values, 0x7fffffff);
        return values;
    }
}
