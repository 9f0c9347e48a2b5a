package dev.baton.protocol.reply;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.ObjectMapper;

/** {@link JsonBytes} against Jackson. */
class JsonBytesTest {
    private static final ObjectMapper JSON = new ObjectMapper();

    @Test
    void anyTextReadsBackAsItWas() {
        Random random = new Random(7);
        for (int round = 0; round < 2_000; round++) {
            StringBuilder text = new StringBuilder();
            int length = random.nextInt(40);
            for (int i = 0; i < length; i++) {
                switch (random.nextInt(5)) {
                    case 0 -> text.append((char) random.nextInt(0x80));
                    case 1 -> text.append((char) (0x80 + random.nextInt(0x700)));
                    case 2 -> text.append((char) (0x800 + random.nextInt(0xD800 - 0x800)));
                    case 3 -> text.append((char) (0xE000 + random.nextInt(0x2000)));
                    default -> text.appendCodePoint(0x10000 + random.nextInt(0x100000));
                }
            }
            byte[] bytes = new JsonBytes(1).string(text).toByteArray();
            assertThat(JSON.readTree(bytes).asString()).isEqualTo(text.toString());
        }
    }

    @Test
    void aLoneSurrogateBecomesTheReplacementCharacter() {
        for (String text : new String[] {"\uD800", "a\uDC00b", "\uD83D", "\uDE00\uD83D"}) {
            String read =
                    JSON.readTree(new JsonBytes(1).string(text).toByteArray()).asString();
            assertThat(read).isEqualTo(text.replaceAll("[\uD800-\uDFFF]", "\uFFFD"));
        }
    }

    @Test
    void numbersReadBackAsTheyWere() {
        Random random = new Random(11);
        List<Long> longs = new ArrayList<>(List.of(0L, -1L, 9L, 10L, Long.MAX_VALUE, Long.MIN_VALUE));
        for (int i = 0; i < 500; i++) {
            longs.add(random.nextLong() >> random.nextInt(64));
        }
        for (long value : longs) {
            assertThat(new JsonBytes(1).number(value)).hasToString(Long.toString(value));
        }
        for (int i = 0; i < 500; i++) {
            double value = Double.longBitsToDouble(random.nextLong());
            if (Double.isFinite(value)) {
                assertThat(JSON.readTree(new JsonBytes(1).number(value).toString())
                                .asDouble())
                        .isEqualTo(value);
            }
        }
        for (double seconds : new double[] {1_795_310_174.711, 1_795_310_174.05, -2e9, 1e7, 123_456_789.123_456}) {
            String text = new JsonBytes(1).number(seconds).toString();
            assertThat(text).doesNotContain("E");
            assertThat(JSON.readTree(text).asDouble()).isEqualTo(seconds);
        }
        assertThat(new JsonBytes(1).number(Double.NaN).raw(' ').number(Float.NEGATIVE_INFINITY))
                .hasToString("null null");
    }

    @Test
    void nestedValuesAreTheSameAsJacksons() {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("a", List.of(1, "x\"y", true));
        map.put("b", new HashMap<>());
        map.put("c", null);
        map.put("d", Arrays.asList(1.5, null, Map.of("k", -3L)));
        map.put("e", new int[] {1, 2});
        assertThat(new JsonBytes(4).value(map)).hasToString(JSON.writeValueAsString(map));
    }
}
