package dev.baton.protocol.flag;

import dev.baton.protocol.ProtocolException;
import dev.baton.protocol.ProtocolException.Code;
import dev.baton.protocol.Suggestion;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The launch flags of one server, each with its value: given, or the default. Parsed as the dialect's command line is:
 * {@code --flag value}, {@code --flag=value}, unambiguous prefixes of long names, switches without a value.
 */
public final class ServerArgs {
    private final Map<String, @Nullable Object> values;
    private final Set<String> given;
    private final List<String> warnings;

    private ServerArgs(Map<String, @Nullable Object> values, Set<String> given, List<String> warnings) {
        this.values = values;
        this.given = given;
        this.warnings = warnings;
    }

    /**
     * @throws ProtocolException INVALID_FLAG for an unknown flag (with a suggestion), a missing or wrong value;
     *     NOT_YET for a flag that this version does not serve
     */
    public static ServerArgs parse(List<String> words) {
        Map<String, @Nullable Object> values = new LinkedHashMap<>();
        for (Flag flag : LaunchFlags.all()) {
            values.put(flag.name(), flag.standard());
        }
        Set<String> given = new HashSet<>();
        List<String> warnings = new ArrayList<>();
        int at = 0;
        while (at < words.size()) {
            String word = words.get(at++);
            if (!word.startsWith("--")) {
                throw invalid("unrecognized arguments: " + word);
            }
            int equals = word.indexOf('=');
            Flag flag = resolve(equals < 0 ? word.substring(2) : word.substring(2, equals));
            List<String> operands = new ArrayList<>();
            if (equals >= 0) {
                operands.add(word.substring(equals + 1));
            } else if (flag.type() != FlagType.SWITCH) {
                int most = flag.type() == FlagType.INTEGERS || flag.type() == FlagType.TEXTS ? Integer.MAX_VALUE : 1;
                while (at < words.size()
                        && operands.size() < most
                        && !words.get(at).startsWith("--")) {
                    operands.add(words.get(at++));
                }
            }
            if (operands.isEmpty() != (flag.type() == FlagType.SWITCH)) {
                throw invalid("argument --" + flag.name() + ": "
                        + (operands.isEmpty() ? "expected one argument" : "takes no value"));
            }
            if (flag.type() == FlagType.TEXTS && values.get(flag.name()) instanceof List<?> before) {
                before.reversed().forEach(earlier -> operands.addFirst(earlier.toString()));
            }
            values.put(flag.name(), value(flag, operands, warnings));
            given.add(flag.name());
        }
        return new ServerArgs(Collections.unmodifiableMap(values), given, List.copyOf(warnings));
    }

    private static Object value(Flag flag, List<String> operands, List<String> warnings) {
        Object value = flag.type().parse(flag.name(), operands);
        FlagRanges.check(flag.name(), value);
        if (!flag.choices().isEmpty() && !flag.choices().contains(value.toString())) {
            throw invalid("argument --" + flag.name() + ": invalid choice: '" + value + "' (choose from "
                    + String.join(", ", flag.choices()) + ")");
        }
        switch (flag.support()) {
            case SERVED -> {}
            case ACCEPTED -> warnings.add("--" + flag.name() + " has no effect here: " + flag.meaning());
            case NOT_YET -> {
                if (!value.equals(flag.standard())) {
                    throw new ProtocolException(
                            Code.NOT_YET,
                            "--" + flag.name() + " is not yet served by this version of Baton (" + flag.meaning()
                                    + ")");
                }
            }
        }
        return value;
    }

    private static Flag resolve(String name) {
        Flag exact = LaunchFlags.find(name);
        if (exact != null) {
            return exact;
        }
        Set<Flag> byPrefix = new HashSet<>();
        for (String candidate : LaunchFlags.names()) {
            if (candidate.startsWith(name)) {
                byPrefix.add(LaunchFlags.find(candidate));
            }
        }
        if (byPrefix.size() == 1) {
            return byPrefix.iterator().next();
        }
        if (byPrefix.size() > 1) {
            throw invalid("ambiguous option: --" + name + " could match "
                    + byPrefix.stream().map(f -> "--" + f.name()).sorted().collect(Collectors.joining(", ")));
        }
        throw invalid("unrecognized arguments: --" + name
                + Suggestion.of(name, LaunchFlags.names())
                        .map(s -> " (did you mean --" + s + "?)")
                        .orElse(""));
    }

    private static ProtocolException invalid(String message) {
        return new ProtocolException(Code.INVALID_FLAG, message);
    }

    /** What to tell once about flags that have no effect. */
    public List<String> warnings() {
        return warnings;
    }

    /** Whether the command line named the flag. */
    public boolean isGiven(String flag) {
        return given.contains(known(flag));
    }

    /** A switch. */
    public boolean on(String flag) {
        return Boolean.TRUE.equals(values.get(known(flag)));
    }

    /** A value that is there, by default or given. */
    public int integer(String flag) {
        Integer value = integerOrNull(flag);
        if (value == null) {
            throw invalid("argument --" + flag + " is required");
        }
        return value;
    }

    /** The words of a flag that takes several, in order; empty when it was not given. */
    public List<String> texts(String flag) {
        return values.get(known(flag)) instanceof List<?> words
                ? words.stream().map(Object::toString).toList()
                : List.of();
    }

    public @Nullable Integer integerOrNull(String flag) {
        return (Integer) values.get(known(flag));
    }

    public double decimal(String flag) {
        Double value = decimalOrNull(flag);
        if (value == null) {
            throw invalid("argument --" + flag + " is required");
        }
        return value;
    }

    public @Nullable Double decimalOrNull(String flag) {
        return (Double) values.get(known(flag));
    }

    public String text(String flag) {
        String value = textOrNull(flag);
        if (value == null) {
            throw invalid("the following arguments are required: --" + flag);
        }
        return value;
    }

    public @Nullable String textOrNull(String flag) {
        return (String) values.get(known(flag));
    }

    private static String known(String flag) {
        if (LaunchFlags.find(flag) == null) {
            throw new IllegalArgumentException("no such flag: " + flag);
        }
        return flag;
    }

    /** Every flag in snake case with its value, in catalogue order: the body of {@code /get_server_info}. */
    public Map<String, @Nullable Object> asMap() {
        Map<String, @Nullable Object> map = new LinkedHashMap<>();
        values.forEach((name, value) -> map.put(name.replace('-', '_'), "null".equals(value) ? null : value));
        return map;
    }

    /** The dialect's start-up line: {@code server_args=ServerArgs(model_path='...', ...)}. */
    @Override
    public String toString() {
        return asMap().entrySet().stream()
                .map(e -> e.getKey() + "=" + python(e.getValue()))
                .collect(Collectors.joining(", ", "ServerArgs(", ")"));
    }

    private static String python(@Nullable Object value) {
        return switch (value) {
            case null -> "None";
            case Boolean b -> b ? "True" : "False";
            case String s -> "'" + s + "'";
            default -> value.toString();
        };
    }
}
