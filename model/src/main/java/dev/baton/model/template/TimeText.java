package dev.baton.model.template;

import java.time.Clock;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.time.format.TextStyle;
import java.time.temporal.IsoFields;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** {@code strftime} in the C locale, with glibc's flag {@code -} for numbers without padding. */
final class TimeText {
    private TimeText() {}

    static String format(Clock clock, String format) {
        ZonedDateTime now = ZonedDateTime.now(clock);
        StringBuilder out = new StringBuilder();
        for (int i = 0; i < format.length(); i++) {
            char c = format.charAt(i);
            if (c != '%' || i + 1 == format.length()) {
                out.append(c);
                continue;
            }
            char directive = format.charAt(++i);
            boolean bare = directive == '-' && i + 1 < format.length();
            if (bare) {
                directive = format.charAt(++i);
            }
            String text = directive(now, directive);
            if (text == null) {
                out.append('%').append(bare ? "-" : "").append(directive);
            } else {
                out.append(bare ? text.replaceFirst("^[0 ]+(?=\\d)", "") : text);
            }
        }
        return out.toString();
    }

    private static @Nullable String directive(ZonedDateTime now, char directive) {
        return switch (directive) {
            case 'Y' -> Integer.toString(now.getYear());
            case 'y' -> two(now.getYear() % 100);
            case 'C' -> two(now.getYear() / 100);
            case 'm' -> two(now.getMonthValue());
            case 'd' -> two(now.getDayOfMonth());
            case 'e' -> "%2d".formatted(now.getDayOfMonth());
            case 'B' -> now.getMonth().getDisplayName(TextStyle.FULL, Locale.ENGLISH);
            case 'b', 'h' ->
                now.getMonth().getDisplayName(TextStyle.FULL, Locale.ENGLISH).substring(0, 3);
            case 'A' -> now.getDayOfWeek().getDisplayName(TextStyle.FULL, Locale.ENGLISH);
            case 'a' ->
                now.getDayOfWeek()
                        .getDisplayName(TextStyle.FULL, Locale.ENGLISH)
                        .substring(0, 3);
            case 'w' -> Integer.toString(now.getDayOfWeek().getValue() % 7);
            case 'u' -> Integer.toString(now.getDayOfWeek().getValue());
            case 'j' -> "%03d".formatted(now.getDayOfYear());
            case 'U' -> two((now.getDayOfYear() + 6 - now.getDayOfWeek().getValue() % 7) / 7);
            case 'W' -> two((now.getDayOfYear() + 6 - (now.getDayOfWeek().getValue() + 6) % 7) / 7);
            case 'V' -> two(now.get(IsoFields.WEEK_OF_WEEK_BASED_YEAR));
            case 'G' -> Integer.toString(now.get(IsoFields.WEEK_BASED_YEAR));
            case 'H' -> two(now.getHour());
            case 'I' -> two((now.getHour() + 11) % 12 + 1);
            case 'M' -> two(now.getMinute());
            case 'S' -> two(now.getSecond());
            case 'p' -> now.getHour() < 12 ? "AM" : "PM";
            case 'f' -> "%06d".formatted(now.getNano() / 1000);
            case 's' -> Long.toString(now.toEpochSecond());
            // Python's now() has no zone, so that these are empty.
            case 'z', 'Z' -> "";
            case 'D', 'x' -> now.format(DateTimeFormatter.ofPattern("MM/dd/yy", Locale.ENGLISH));
            case 'F' -> now.format(DateTimeFormatter.ofPattern("yyyy-MM-dd", Locale.ENGLISH));
            case 'T', 'X' -> now.format(DateTimeFormatter.ofPattern("HH:mm:ss", Locale.ENGLISH));
            case 'R' -> now.format(DateTimeFormatter.ofPattern("HH:mm", Locale.ENGLISH));
            case 'r' -> now.format(DateTimeFormatter.ofPattern("hh:mm:ss ", Locale.ENGLISH)) + directive(now, 'p');
            case 'c' ->
                directive(now, 'a') + " " + directive(now, 'b') + " " + directive(now, 'e') + " " + directive(now, 'T')
                        + " " + directive(now, 'Y');
            case 'n' -> "\n";
            case 't' -> "\t";
            case '%' -> "%";
            default -> null;
        };
    }

    private static String two(int number) {
        return "%02d".formatted(number);
    }
}
