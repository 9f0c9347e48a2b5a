package dev.baton.protocol.flag;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One launch flag of the dialect.
 *
 * @param name long name without the hyphens, e.g. {@code tp-size}
 * @param aliases other long names
 * @param type what its value is
 * @param standard default, in the form {@link FlagType#parse} gives; null when the dialect's default is "none"
 * @param choices values it may have, empty when any
 * @param support whether this version serves it
 * @param meaning one line for {@code --help}
 */
public record Flag(
        String name,
        List<String> aliases,
        FlagType type,
        @Nullable Object standard,
        List<String> choices,
        Support support,
        String meaning) {

    /** What this version does with a flag. */
    public enum Support {
        /** It works. */
        SERVED,
        /** It concerns hardware or tools that do not apply here: accepted with one warning. */
        ACCEPTED,
        /** Known, refused with "not yet". */
        NOT_YET
    }

    /** The key in {@code /get_server_info}: snake case. */
    public String key() {
        return name.replace('-', '_');
    }
}
