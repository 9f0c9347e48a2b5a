package dev.baton.serve.router;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.protocol.ProtocolException;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.nio.charset.StandardCharsets;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

class BodyScanTest {
    private static final JsonMapper JSON = JsonMapper.shared();

    private static BodyScan scan(String body) {
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        return BodyScan.of(bytes, bytes.length);
    }

    @Test
    void findsWhatDecidesTheRoute() {
        BodyScan scan = scan(
                " { \"text\" : [\"a\\\\\", \"}]\"] , \"stream\":true,\"return_logprob\": true, \"x\":{\"n\":9} }\n");
        assertThat(scan.batch()).isEqualTo(2);
        assertThat(scan.stream()).isTrue();
        assertThat(scan.returnLogprob()).isTrue();
        assertThat(scan.bootstrap()).isFalse();
        assertThat(scan("{}").empty()).isTrue();
        assertThat(scan("{\"input_ids\":[1,2]}").batch()).isEqualTo(-1);
        assertThat(scan("{\"input_ids\":[ [1],[2,3] ]}").batch()).isEqualTo(2);
        assertThat(scan("{\"text\":null,\"n\":3}").batch()).isEqualTo(3);
        assertThat(scan("{\"n\":99999999}").batch()).isEqualTo(-1);
        assertThat(scan("{\"return_logprob\":false}").returnLogprob()).isFalse();
        assertThat(scan("{\"bootstrap_room\":1}").bootstrap()).isTrue();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                " ",
                "[]",
                "null",
                "{",
                "{\"a\"",
                "{\"a\":",
                "{\"a\":}",
                "{\"a\":1",
                "{\"a\":1,",
                "{\"a\":\"x}",
                "{\"a\":[1,2}",
                "{\"a\":{\"b\":1}",
                "{a:1}",
                "{\"a\":1}x",
                "{\"a\":1}{}",
                "{\"a\" 1}",
                "{\"a\":\"\\\"}",
                "{,}"
            })
    void whatIsNoObjectIsRefusedWithItsPlace(String body) {
        assertThatThrownBy(() -> scan(body))
                .isInstanceOf(ProtocolException.class)
                .hasMessageContaining("not valid JSON")
                .hasMessageContaining("byte ");
    }

    private static JsonNode random(Random random, int depth) {
        return switch (random.nextInt(depth > 3 ? 4 : 6)) {
            case 0 -> JSON.valueToTree(random.nextInt());
            case 1 -> JSON.valueToTree(random.nextDouble());
            case 2 -> JSON.valueToTree(random.nextBoolean());
            case 3 -> JSON.valueToTree(word(random));
            case 4 -> {
                ArrayNode array = JSON.createArrayNode();
                for (int i = random.nextInt(4); i > 0; i--) {
                    array.add(random(random, depth + 1));
                }
                yield array;
            }
            default -> {
                ObjectNode object = JSON.createObjectNode();
                for (int i = random.nextInt(4); i > 0; i--) {
                    object.set(word(random), random(random, depth + 1));
                }
                yield object;
            }
        };
    }

    private static String word(Random random) {
        String[] words = {"text", "input_ids", "a\"b", "\\", "}", "é", "", "stream", "prompt", ",", "n1"};
        return words[random.nextInt(words.length)] + (random.nextBoolean() ? "" : words[random.nextInt(words.length)]);
    }

    @Test
    void fieldsAddedByBytesEqualFieldsAddedByAParser() {
        WorkerAddress prefill = new WorkerAddress("http://10.0.0.7:30000", 8998);
        for (long seed = 0; seed < 3000; seed++) {
            Random random = new Random(seed);
            ObjectNode object = JSON.createObjectNode();
            for (int i = random.nextInt(5); i > 0; i--) {
                object.set(word(random), random(random, 1));
            }
            String text = random.nextBoolean() ? object.toString() : object.toPrettyString() + " \r\n\t";
            byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
            BodyScan scan = BodyScan.of(bytes, bytes.length);
            ByteBuf body = Unpooled.wrappedBuffer(bytes);
            ByteBuf added = BootstrapFields.add(body, scan, prefill, random);
            JsonNode result = JSON.readTree(added.toString(StandardCharsets.UTF_8));
            JsonNode room = result.path("bootstrap_room");
            ObjectNode expected = object.deepCopy();
            int batch = batch(object);
            if (batch < 0) {
                expected.put("bootstrap_host", "10.0.0.7").put("bootstrap_port", 8998);
            } else {
                ArrayNode hosts = expected.putArray("bootstrap_host");
                ArrayNode ports = expected.putArray("bootstrap_port");
                for (int i = 0; i < batch; i++) {
                    hosts.add("10.0.0.7");
                    ports.add(8998);
                }
                assertThat(room.size()).isEqualTo(batch);
            }
            expected.set("bootstrap_room", room);
            assertThat(result).as("seed %s: %s", seed, text).isEqualTo(JSON.readTree(expected.toString()));
            added.release();
            assertThat(body.refCnt()).isEqualTo(1);
            body.release();
        }
    }

    /** The items of the last list of strings or lists among the prompt fields. */
    private static int batch(ObjectNode object) {
        int batch = -1;
        for (var member : object.properties()) {
            JsonNode value = member.getValue();
            boolean prompt = member.getKey().equals("text")
                    || member.getKey().equals("prompt")
                    || member.getKey().equals("input_ids");
            if (prompt
                    && value.isArray()
                    && (value.path(0).isString() || value.path(0).isArray())) {
                batch = value.size();
            }
        }
        return batch;
    }
}
