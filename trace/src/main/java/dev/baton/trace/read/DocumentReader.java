package dev.baton.trace.read;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Reads one trace document: the object with {@code traceEvents}, or a bare array of events. */
final class DocumentReader {
    private static final byte[] EVENTS_KEY = "\"traceEvents\"".getBytes(StandardCharsets.US_ASCII);
    private static final Pattern MERGE_LABEL = Pattern.compile("\\[((?:TP|DP|PP|EP|rank)[^]]*)] ?(.*)");

    private final Path file;
    private final ByteWindow window;
    private final Notes notes;
    private final EventScanner strict;
    private final EventScanner lenient;
    private final ArgumentScanner arguments = new ArgumentScanner();
    private final HeaderReader header = new HeaderReader();
    private final Map<String, Events> parts = new LinkedHashMap<>();
    private final Map<String, Process> processes = new LinkedHashMap<>();
    private Process lastProcess = new Process("", -1);
    private byte[] lastPid = new byte[0];
    private long ordinal;
    /** Offset in the stream from which on no further event is begun. */
    private long stopAt = Long.MAX_VALUE;
    /** Offset of the event that was not begun any more; -1 while there is none. */
    private long stoppedAt = -1;

    /** Whose part of the file an event belongs to, and the number in its pid: the device, for a device's work. */
    private record Process(String label, int number) {}

    DocumentReader(Path file, ByteWindow window, Notes notes, byte[][] frames) {
        this.file = file;
        this.window = window;
        this.notes = notes;
        this.strict = new EventScanner(window, false, frames);
        this.lenient = new EventScanner(window, true, frames);
    }

    List<Trace> read() {
        int first = space();
        if (first < 0) {
            notes.add(window.offset(window.limit) == 0 ? "the file is empty" : "nothing could be read");
        } else if (first == '[') {
            window.position++;
            events();
        } else if (first == '{') {
            window.position++;
            object();
        } else {
            notes.add("this is not a trace: it begins with neither { nor [");
            window.position = window.limit;
        }
        if (!window.breakReason().isEmpty()) {
            notes.add("the file breaks off after " + window.offset(window.limit) + " bytes of JSON ("
                    + window.breakReason() + "); what stands before is used");
        }
        return traces();
    }

    /**
     * Reads a stretch of a document from an event on, up to the first event that begins at or behind an offset of the
     * window's stream, or to the document's end.
     *
     * @return the offset of the event it began with; -1 when there is none
     */
    long readEvents(long stop) {
        stopAt = stop;
        if (!nextElement()) {
            return -1;
        }
        long first = window.offset(window.position);
        events();
        if (stoppedAt < 0) {
            object();
        }
        return first;
    }

    /** Reads from the document's begin up to the first event that begins at or behind an offset. */
    void readUpTo(long stop) {
        stopAt = stop;
        space();
        window.position++;
        object();
    }

    /** Where {@link #readEvents} and {@link #readUpTo} stopped; -1 when they came to the document's end. */
    long stoppedAt() {
        return stoppedAt;
    }

    /** Events passed, kept or not. */
    long ordinal() {
        return ordinal;
    }

    /** Whether anything but white space is left in the stream. */
    boolean hasMore() {
        return space() >= 0;
    }

    /** Appends the events of the stretch that follows this one in the document, and what its header says. */
    void append(DocumentReader next) {
        next.parts.forEach((label, events) ->
                parts.computeIfAbsent(label, l -> new Events(new NameTable())).append(events, ordinal));
        header.append(next.header);
        ordinal += next.ordinal;
    }

    /** The traces of a document of which no part was damaged. */
    List<Trace> traces(long uncompressedBytes) {
        List<Trace> traces = new ArrayList<>();
        for (Trace t : traces()) {
            traces.add(new Trace(t.file(), t.label(), t.info(), t.events(), uncompressedBytes, t.notes()));
        }
        return traces;
    }

    /** Goes to the next brace that begins an element of an array and has a field of events first. */
    private boolean nextElement() {
        while (nextEvent()) {
            int before = window.position - 1;
            while (before > 0 && Json.isSpace(window.bytes[before])) {
                before--;
            }
            if (before >= 0 && (window.bytes[before] == ',' || window.bytes[before] == '[')) {
                return true;
            }
            window.position++;
        }
        return false;
    }

    /** Whether another document begins behind this one. */
    boolean isFollowedByAnother() {
        return space() == '{';
    }

    private List<Trace> traces() {
        TraceInfo info = header.info();
        List<Trace> traces = new ArrayList<>();
        long bytes = window.offset(window.limit);
        long illegible = parts.values().stream()
                .mapToLong(events -> events.names().illegible())
                .sum();
        if (illegible > 0) {
            header.notes().add(illegible + " names hold bytes that are not UTF-8; they are shown with \ufffd");
        }
        parts.forEach((label, events) -> {
            if (events.size() > 0 || parts.size() == 1) {
                traces.add(new Trace(file, label, info, events, bytes, header.notes()));
            }
        });
        if (traces.isEmpty()) {
            traces.add(new Trace(file, "", info, new Events(new NameTable()), bytes, header.notes()));
        }
        return traces;
    }

    /** The next byte that is no white space, -1 at the end. */
    private int space() {
        while (true) {
            window.position = Json.skipSpace(window.bytes, window.position);
            if (window.position < window.limit) {
                return window.bytes[window.position] & 0xff;
            }
            if (!window.more(window.position)) {
                return -1;
            }
        }
    }

    private void object() {
        while (true) {
            if (stoppedAt >= 0) {
                return;
            }
            int c = space();
            if (c == '}') {
                window.position++;
                return;
            }
            if (c == ',') {
                window.position++;
                continue;
            }
            if (c != '"' || !property()) {
                if (c < 0) {
                    notes.add("the file ends before the trace does");
                    return;
                }
                notes.count("damaged top-level values were passed over", ordinal);
                if (!findEvents()) {
                    return;
                }
            }
        }
    }

    /** One top-level key with its value; false when it is damaged. */
    private boolean property() {
        int keyEnd;
        while (true) {
            keyEnd = Json.stringEnd(window.bytes, window.position + 1, window.limit, false);
            if (keyEnd != Json.CUT || !window.more(window.position)) {
                break;
            }
        }
        if (keyEnd < 0) {
            return false;
        }
        String key = Json.text(window.bytes, window.position + 1, keyEnd);
        window.position = keyEnd + 1;
        if (space() != ':') {
            return false;
        }
        window.position++;
        int c = space();
        if (key.equals("traceEvents") && c == '[') {
            window.position++;
            events();
            return true;
        }
        int end = c < 0 ? Json.BAD : value();
        if (end < 0) {
            return false;
        }
        header.property(key, window.bytes, window.position, end);
        window.position = end;
        return true;
    }

    private int value() {
        while (true) {
            int end = Json.skipValue(window.bytes, window.position, window.limit, false);
            if (end != Json.CUT || !window.more(window.position)) {
                return end;
            }
        }
    }

    /** After damage at the top: goes on behind the key of the events. */
    private boolean findEvents() {
        while (true) {
            int at = Json.find(window.bytes, window.position, window.limit, EVENTS_KEY);
            if (at >= 0) {
                window.position = at + EVENTS_KEY.length;
                while (space() == ':') {
                    window.position++;
                }
                if (space() == '[') {
                    window.position++;
                    events();
                    return true;
                }
                continue;
            }
            int keep = Math.max(window.position, window.limit - EVENTS_KEY.length);
            if (!window.more(keep)) {
                window.position = window.limit;
                return false;
            }
            window.position = 0;
        }
    }

    /** The array of events up to its end. */
    private void events() {
        while (true) {
            int c = space();
            if (c == '{') {
                if (window.offset(window.position) >= stopAt) {
                    stoppedAt = window.offset(window.position);
                    return;
                }
                event();
            } else if (c == ',') {
                window.position++;
            } else if (c == ']') {
                window.position++;
                return;
            } else if (c < 0) {
                notes.add("the file ends inside its events, after " + ordinal + " of them");
                return;
            } else {
                notes.count("pieces of text between events were passed over", ordinal);
                if (!nextEvent()) {
                    return;
                }
            }
        }
    }

    private void event() {
        int end = scan(strict);
        EventScanner used = strict;
        if (end == Json.BAD) {
            used = lenient;
            end = scan(lenient);
            if (end >= 0) {
                notes.count("events with unescaped quotes were read all the same", ordinal);
            }
        }
        if (end == Json.CUT) {
            notes.add("the file ends inside event " + ordinal);
            window.position = window.limit;
        } else if (end == Json.BAD) {
            notes.count("damaged events were passed over", ordinal++);
            window.position++;
            nextEvent();
        } else {
            if (used.isKept()) {
                keep(used);
            }
            ordinal++;
            window.position = end;
        }
    }

    private int scan(EventScanner scanner) {
        while (true) {
            int end = scanner.scan(window.position);
            if (end != Json.CUT) {
                return end;
            }
            int length = window.limit - window.position;
            if (length > ByteWindow.MOST_BYTES / 2) {
                return Json.BAD;
            }
            if (!window.more(window.position)) {
                return Json.CUT;
            }
        }
    }

    /** Goes to the next brace that begins an event: one whose first key is a field of events. */
    private boolean nextEvent() {
        while (true) {
            for (int i = window.position; i < window.limit; i++) {
                if (window.bytes[i] == '{' && beginsEvent(i)) {
                    window.position = i;
                    return true;
                }
            }
            int keep = Math.max(window.position, window.limit - 64);
            if (!window.more(keep)) {
                window.position = window.limit;
                return false;
            }
            window.position = 0;
        }
    }

    private boolean beginsEvent(int at) {
        byte[] b = window.bytes;
        int quote = Json.skipSpace(b, at + 1);
        if (b[quote] != '"') {
            return false;
        }
        int end = quote + 1;
        while (end < window.limit && end < quote + 6 && b[end] != '"') {
            end++;
        }
        for (String key : new String[] {"ph", "cat", "name", "pid", "tid", "ts", "dur"}) {
            if (Json.is(b, quote + 1, end, key)) {
                return true;
            }
        }
        return false;
    }

    private void keep(EventScanner e) {
        if (e.startNanos == Numbers.NONE || e.durationNanos == Numbers.NONE) {
            notes.count("events without a usable time were left out", ordinal);
            return;
        }
        long duration = e.durationNanos;
        if (duration < 0) {
            notes.count("negative durations were taken as 0", ordinal);
            duration = 0;
        }
        if (Math.abs(e.startNanos) > Long.MAX_VALUE / 4 || duration > Long.MAX_VALUE / 4) {
            notes.count("events with times beyond 146 years were left out", ordinal);
            return;
        }
        Process process = process(e);
        Events events = parts.computeIfAbsent(process.label, l -> new Events(new NameTable()));
        EventKind kind = EventKind.values()[e.kind];
        byte[] b = window.bytes;
        long lane = e.tidTo > e.tidFrom ? Numbers.whole(b, e.tidFrom, e.tidTo) : -1;
        long correlation = -1;
        int device = -1;
        boolean isNeeded = kind.isDeviceWork() || kind == EventKind.RUNTIME || kind == EventKind.OPERATOR;
        if (isNeeded) {
            arguments.scan(b, e.argsFrom, e.argsTo, e == lenient);
            correlation = arguments.correlation == Numbers.NONE ? -1 : arguments.correlation;
        }
        if (kind.isDeviceWork() || kind == EventKind.DEVICE_ANNOTATION) {
            boolean said = isNeeded && arguments.device >= 0 && arguments.device < Integer.MAX_VALUE;
            device = said ? (int) arguments.device : Math.max(0, process.number);
            lane = isNeeded && arguments.stream >= 0 ? arguments.stream : lane;
        }
        int name = events.names().id(b, e.nameFrom, e.nameTo);
        events.add(kind, name, e.startNanos, duration, device, lane == Numbers.NONE ? -1 : lane, correlation, ordinal);
        if (isNeeded) {
            CollectiveCall call = arguments.collective();
            if (call != null) {
                events.collective(call);
            }
        }
    }

    /** Events of one process come in runs: the last answer is nearly always right. */
    private Process process(EventScanner e) {
        byte[] b = window.bytes;
        if (java.util.Arrays.equals(lastPid, 0, lastPid.length, b, e.pidFrom, e.pidTo)) {
            return lastProcess;
        }
        lastPid = java.util.Arrays.copyOfRange(b, e.pidFrom, e.pidTo);
        lastProcess = processes.computeIfAbsent(Json.text(b, e.pidFrom, e.pidTo), DocumentReader::processOf);
        return lastProcess;
    }

    private static Process processOf(String pid) {
        Matcher m = MERGE_LABEL.matcher(pid);
        boolean isMerged = m.matches();
        String number = isMerged ? m.group(2) : pid;
        byte[] digits = number.getBytes(StandardCharsets.ISO_8859_1);
        long value = digits.length == 0 ? -1 : Numbers.whole(digits, 0, digits.length);
        return new Process(isMerged ? m.group(1) : "", value < 0 || value > Integer.MAX_VALUE ? -1 : (int) value);
    }
}
