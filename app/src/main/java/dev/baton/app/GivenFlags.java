package dev.baton.app;

import java.util.LinkedHashMap;
import java.util.Map;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/** The flags that stand on a command line, by their names without dashes in front. */
final class GivenFlags {
    private GivenFlags() {}

    static Map<String, Object> of(CommandSpec spec) {
        Map<String, Object> given = new LinkedHashMap<>();
        for (OptionSpec option : spec.commandLine().getParseResult().matchedOptions()) {
            given.put(option.longestName().replaceFirst("^-+", ""), option.getValue());
        }
        return given;
    }
}
