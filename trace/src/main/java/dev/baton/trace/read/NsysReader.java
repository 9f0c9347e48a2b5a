package dev.baton.trace.read;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/**
 * Reads what {@code nsys export --type sqlite} wrote: kernels, copies, fills, API calls and NVTX ranges. A table that is
 * missing held nothing; a table that cannot be read is noted.
 */
final class NsysReader {
    private static final byte[] MAGIC = "SQLite format 3".getBytes(StandardCharsets.US_ASCII);
    /** NVTX event types: ranges pushed and popped, ranges started and ended, names of domains. */
    private static final String RANGE_TYPES = "59, 60";

    private static final int DOMAIN_TYPE = 75;
    private static final Map<Integer, String> COPY_KINDS = Map.of(
            1,
            "Host-to-Device",
            2,
            "Device-to-Host",
            8,
            "Device-to-Device",
            9,
            "Host-to-Host",
            10,
            "Peer-to-Peer",
            11,
            "Unified Host-to-Device",
            12,
            "Unified Device-to-Host");

    private final NameTable names = new NameTable();
    private final Events events = new Events(names);
    private final Notes notes = new Notes();
    private final Map<Long, String> strings = new HashMap<>();
    private final Map<Integer, String> devices = new HashMap<>();
    private long row;

    private NsysReader() {}

    /** Whether the file is a SQLite database. */
    static boolean isExport(Path file) {
        try (InputStream in = Files.newInputStream(file)) {
            return Arrays.equals(in.readNBytes(MAGIC.length), MAGIC);
        } catch (IOException e) {
            return false; // Said by whoever opens it next.
        }
    }

    static Trace read(Path file) {
        NsysReader reader = new NsysReader();
        long base = 0;
        long bytes = 0;
        try (Connection connection = DriverManager.getConnection(
                        "jdbc:sqlite:file:" + file.toUri().getRawPath() + "?mode=ro&immutable=1");
                Statement sql = connection.createStatement()) {
            bytes = Files.size(file);
            Set<String> tables = tables(sql);
            base = reader.base(sql, tables);
            reader.tables(sql, tables);
        } catch (SQLException | IOException e) {
            reader.notes.add("the export cannot be read: " + e.getMessage());
        }
        TraceInfo info = new TraceInfo(-1, 0, base, "", "", reader.devices);
        return new Trace(file, "", info, reader.events, bytes, reader.notes.list());
    }

    private static Set<String> tables(Statement sql) throws SQLException {
        Set<String> tables = new HashSet<>();
        try (ResultSet r = sql.executeQuery("select name from sqlite_master where type in ('table', 'view')")) {
            while (r.next()) {
                tables.add(r.getString(1));
            }
        }
        return tables;
    }

    private long base(Statement sql, Set<String> tables) throws SQLException {
        if (!tables.contains("TARGET_INFO_SESSION_START_TIME")) {
            return 0;
        }
        try (ResultSet r = sql.executeQuery("select utcEpochNs from TARGET_INFO_SESSION_START_TIME")) {
            return r.next() ? Math.max(0, r.getLong(1)) : 0;
        }
    }

    /** What reads the rows of one query. */
    private interface Rows {
        void row(ResultSet r) throws SQLException;
    }

    private void tables(Statement sql, Set<String> tables) {
        each(
                sql,
                tables,
                "StringIds",
                "select id, value from StringIds",
                r -> strings.put(r.getLong(1), r.getString(2)));
        each(
                sql,
                tables,
                "TARGET_INFO_GPU",
                "select id, name from TARGET_INFO_GPU",
                r -> devices.put(r.getInt(1), String.valueOf(r.getString(2))));
        each(
                sql,
                tables,
                "CUPTI_ACTIVITY_KIND_KERNEL",
                "select start, end, deviceId, streamId, correlationId, demangledName from CUPTI_ACTIVITY_KIND_KERNEL"
                        + " order by start",
                r -> add(EventKind.KERNEL, string(r.getLong(6)), r, r.getInt(3), r.getLong(4), r.getLong(5)));
        each(
                sql,
                tables,
                "CUPTI_ACTIVITY_KIND_MEMCPY",
                "select start, end, deviceId, streamId, correlationId, copyKind from CUPTI_ACTIVITY_KIND_MEMCPY",
                r -> add(
                        EventKind.MEMCPY,
                        "CUDA memcpy " + COPY_KINDS.getOrDefault(r.getInt(6), "of kind " + r.getInt(6)),
                        r,
                        r.getInt(3),
                        r.getLong(4),
                        r.getLong(5)));
        each(
                sql,
                tables,
                "CUPTI_ACTIVITY_KIND_MEMSET",
                "select start, end, deviceId, streamId, correlationId from CUPTI_ACTIVITY_KIND_MEMSET",
                r -> add(EventKind.MEMSET, "CUDA memset", r, r.getInt(3), r.getLong(4), r.getLong(5)));
        each(
                sql,
                tables,
                "CUPTI_ACTIVITY_KIND_RUNTIME",
                "select start, end, globalTid, correlationId, nameId from CUPTI_ACTIVITY_KIND_RUNTIME",
                r -> add(EventKind.RUNTIME, string(r.getLong(5)), r, -1, r.getLong(3), r.getLong(4)));
        Map<Long, String> domains = new HashMap<>();
        each(
                sql,
                tables,
                "NVTX_EVENTS",
                "select domainId, coalesce(text, (select value from StringIds where id = textId)) from NVTX_EVENTS where"
                        + " eventType = " + DOMAIN_TYPE,
                r -> domains.put(r.getLong(1), String.valueOf(r.getString(2))));
        each(
                sql,
                tables,
                "NVTX_EVENTS",
                "select start, end, globalTid, text, textId, domainId from NVTX_EVENTS where end is not null and"
                        + " eventType in (" + RANGE_TYPES + ")",
                r -> {
                    String domain = domains.get(r.getLong(6));
                    String text = r.getString(4) == null ? string(r.getLong(5)) : r.getString(4);
                    add(EventKind.ANNOTATION, (domain == null ? "" : domain + ":") + text, r, -1, r.getLong(3), -1);
                });
    }

    private void each(Statement sql, Set<String> tables, String table, String query, Rows rows) {
        if (!tables.contains(table)) {
            return;
        }
        try (ResultSet r = sql.executeQuery(query)) {
            while (r.next()) {
                rows.row(r);
            }
        } catch (SQLException e) {
            notes.add("table " + table + " could not be read to its end: " + e.getMessage());
        }
    }

    private String string(long id) {
        return strings.getOrDefault(id, "string " + id);
    }

    /** Every query begins with start and end in nanoseconds. */
    private void add(EventKind kind, String name, ResultSet r, int device, long lane, long correlation)
            throws SQLException {
        long start = r.getLong(1);
        long duration = r.getLong(2) - start;
        if (duration < 0) {
            notes.count("negative durations were taken as 0", row);
        }
        events.add(
                kind,
                names.id(name),
                start,
                Math.max(0, duration),
                device,
                lane,
                correlation > 0 ? correlation : -1,
                row++);
    }
}
