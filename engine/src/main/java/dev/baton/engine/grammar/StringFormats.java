package dev.baton.engine.grammar;

import java.util.Map;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** Regular expressions for the formats of JSON schema strings; each matches a subset that every validator takes. */
final class StringFormats {
    private static final String DATE =
            "(19|20)[0-9]{2}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
                    + "|02-(0[1-9]|1[0-9]|2[0-8]))";
    private static final String TIME =
            "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])";
    private static final String BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    private static final String LABEL = "[a-z][a-z0-9]{0,15}";
    private static final String HOST = "[a-z]([a-z0-9]{0,20})(\\." + "[a-z0-9]{1,20}){0,3}";

    private static final Map<String, String> REGEXES = Map.ofEntries(
            Map.entry("date", DATE),
            Map.entry("time", TIME),
            Map.entry("date-time", DATE + "T" + TIME),
            Map.entry(
                    "duration",
                    "P([1-9][0-9]{0,3}D|[1-9][0-9]{0,3}W|T([1-9][0-9]{0,3}H([1-9][0-9]?M([1-9][0-9]?S)?)?|[1-9][0-9]{0,3}M|[1-9][0-9]{0,3}S))"),
            Map.entry(
                    "email",
                    "[A-Za-z0-9_]{1,20}(\\.[A-Za-z0-9_]{1,20}){0,2}@" + LABEL + "(\\." + LABEL
                            + "){0,2}\\.(com|org|net|edu|io|de)"),
            Map.entry("hostname", HOST),
            Map.entry("ipv4", BYTE + "(\\." + BYTE + "){3}"),
            Map.entry("ipv6", "([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}"),
            Map.entry("uuid", "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
            Map.entry("uri", "https?://" + HOST + "(/[A-Za-z0-9._~-]{0,40}){0,6}(\\?[A-Za-z0-9=&_-]{1,60})?"),
            Map.entry("uri-reference", "(/[A-Za-z0-9._~-]{1,40}){1,6}"));

    private StringFormats() {}

    /** The regular expression of a format; null when it is not known. */
    static @Nullable String regex(String format) {
        return REGEXES.get(format);
    }

    /** The known formats, for errors. */
    static String known() {
        return String.join(", ", new TreeSet<>(REGEXES.keySet()));
    }
}
