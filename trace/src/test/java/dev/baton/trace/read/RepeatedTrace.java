package dev.baton.trace.read;

import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.GZIPInputStream;

/**
 * Makes a large trace of a real one: its events again and again, each copy later in time and with ids of its own.
 *
 * <p>{@code java ... RepeatedTrace IN OUT BYTES} writes whole copies until OUT has at least BYTES bytes.
 */
public final class RepeatedTrace {
    private static final Pattern TIME = Pattern.compile("\"ts\": ([0-9.]+)");
    private static final Pattern ID = Pattern.compile("\"(correlation|External id|id)\": ([0-9]+)");
    private static final BigDecimal STEP_MICROS = new BigDecimal("10000000");
    private static final long ID_STEP = 1L << 20;

    private RepeatedTrace() {}

    public static void main(String[] words) throws IOException {
        System.out.println(write(Path.of(words[0]), Path.of(words[1]), Long.parseLong(words[2])) + " copies");
    }

    /** The copies written. */
    public static int write(Path in, Path out, long bytes) throws IOException {
        int copies = 0;
        try (BufferedWriter writer = Files.newBufferedWriter(out)) {
            long before;
            do {
                before = Files.size(out);
                copy(in, writer, copies++);
                writer.flush();
                if (Files.size(out) < before + 100) {
                    throw new IOException(in + " does not have one event field group a line, as Kineto writes it");
                }
            } while (Files.size(out) < bytes);
            writer.write("]}\n");
        }
        return copies;
    }

    /** Everything up to the last event; the header only of the first copy. */
    private static void copy(Path in, BufferedWriter writer, int copy) throws IOException {
        boolean inEvents = false;
        try (InputStream raw = Files.newInputStream(in);
                BufferedReader reader =
                        new BufferedReader(new InputStreamReader(new GZIPInputStream(raw), StandardCharsets.UTF_8))) {
            for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                if (inEvents && line.strip().equals("],")) {
                    return;
                }
                if (inEvents || copy == 0) {
                    writer.write(copy == 0 ? line : shifted(line, copy));
                    writer.write('\n');
                } else if (line.contains("\"traceEvents\"")) {
                    writer.write(",\n");
                }
                inEvents |= line.contains("\"traceEvents\"");
            }
        }
    }

    private static String shifted(String line, int copy) {
        String text = line;
        Matcher time = TIME.matcher(text);
        if (time.find()) {
            BigDecimal later = new BigDecimal(time.group(1)).add(STEP_MICROS.multiply(BigDecimal.valueOf(copy)));
            text = text.substring(0, time.start(1)) + later + text.substring(time.end(1));
        }
        return text.indexOf("id\": ") < 0 && text.indexOf("correlation\": ") < 0
                ? text
                : ID.matcher(text)
                        .replaceAll(m -> "\"" + m.group(1) + "\": " + (Long.parseLong(m.group(2)) + copy * ID_STEP));
    }
}
