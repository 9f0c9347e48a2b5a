package dev.baton.serve;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import tools.jackson.databind.JsonNode;

/**
 * Sends each request of {@code src/test/resources/dialect/*.http} and compares the reply with the one written there. A
 * sample is {@code ### name}, a request line, an optional body, a line {@code -> STATUS CONTENT-TYPE} and the reply;
 * {@code "<any>"} stands for any value, {@code "<number>"} for a number, {@code "<...>"} as a key for any further
 * keys. A text reply is compared as it is, a stream frame by frame.
 */
class DialectSamplesTest {
    private record Sample(
            String name, String method, String path, String body, int status, String type, String reply) {}

    @TestFactory
    Stream<DynamicTest> samples() throws IOException {
        Path folder = Path.of(System.getProperty("baton.root"), "serve/src/test/resources/dialect");
        List<DynamicTest> tests = new ArrayList<>();
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.sorted(Comparator.naturalOrder()).toList()) {
                for (Sample sample : read(file)) {
                    String name = file.getFileName() + ": " + sample.name;
                    tests.add(DynamicTest.dynamicTest(name, () -> check(sample)));
                }
            }
        }
        assertThat(tests).hasSizeGreaterThan(30);
        return tests.stream();
    }

    private static List<Sample> read(Path file) throws IOException {
        List<Sample> samples = new ArrayList<>();
        for (String part : Files.readString(file).split("(?m)^### ")) {
            if (part.isBlank() || !part.contains("\n-> ")) {
                continue;
            }
            String[] halves = part.split("\n-> ", 2);
            String[] request = halves[0].split("\n", 3);
            String[] line = request[1].split(" ", 2);
            String[] reply = halves[1].split("\n", 2);
            String[] status = reply[0].split(" ", 2);
            samples.add(new Sample(
                    request[0].strip(),
                    line[0],
                    line[1].strip(),
                    request.length > 2 && !request[2].isBlank() ? request[2].strip() : null,
                    Integer.parseInt(status[0].strip()),
                    status.length > 1 ? status[1].strip() : "",
                    reply.length > 1 ? reply[1].strip() : ""));
        }
        return samples;
    }

    private static void check(Sample sample) throws Exception {
        var args = new java.util.LinkedHashMap<String, Object>();
        args.put("model_path", "models/fake");
        args.put("tp_size", 1);
        args.put("disaggregation_mode", null);
        try (var fixture = new ServerFixture(
                new FakeEngine(),
                config -> config.serverArgs(args).metrics(true).version("0.1"))) {
            var reply = fixture.send(sample.method, sample.path, sample.body);
            assertThat(reply.statusCode()).as(reply.body()).isEqualTo(sample.status);
            String type = reply.headers().firstValue("content-type").orElse("");
            assertThat(type).startsWith(sample.type);
            if (type.startsWith("text/event-stream")) {
                List<String> expected = Stream.of(sample.reply.split("\n")).toList();
                List<String> frames = ServerFixture.frames(reply.body());
                assertThat(frames).as(reply.body()).hasSameSizeAs(expected);
                for (int i = 0; i < frames.size(); i++) {
                    compare(expected.get(i).substring("data: ".length()), frames.get(i));
                }
            } else if (type.startsWith("application/json")) {
                compare(sample.reply, reply.body());
            } else {
                assertThat(reply.body().strip()).isEqualTo(sample.reply);
            }
        }
    }

    private static void compare(String expected, String actual) {
        if (expected.equals("[DONE]")) {
            assertThat(actual).isEqualTo("[DONE]");
            return;
        }
        compare("$", ServerFixture.JSON.readTree(expected), ServerFixture.JSON.readTree(actual));
    }

    private static void compare(String at, JsonNode expected, JsonNode actual) {
        assertThat(actual).as(at).isNotNull();
        if (expected.isString() && expected.asString().equals("<any>")) {
            return;
        }
        if (expected.isString() && expected.asString().equals("<number>")) {
            assertThat(actual.isNumber()).as(at + " is " + actual).isTrue();
            return;
        }
        if (expected.isObject()) {
            List<String> names = new ArrayList<>();
            for (Map.Entry<String, JsonNode> field : expected.properties()) {
                if (!field.getKey().equals("<...>")) {
                    names.add(field.getKey());
                    compare(at + "." + field.getKey(), field.getValue(), actual.get(field.getKey()));
                }
            }
            if (!expected.has("<...>")) {
                assertThat(actual.propertyNames()).as(at).containsExactlyInAnyOrderElementsOf(names);
            }
        } else if (expected.isArray()) {
            assertThat(actual.size()).as(at + " is " + actual).isEqualTo(expected.size());
            for (int i = 0; i < expected.size(); i++) {
                compare(at + "[" + i + "]", expected.get(i), actual.get(i));
            }
        } else {
            assertThat(actual).as(at).isEqualTo(expected);
        }
    }
}
