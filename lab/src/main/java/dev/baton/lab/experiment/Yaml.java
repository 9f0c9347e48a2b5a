package dev.baton.lab.experiment;

import dev.baton.lab.LabException;
import dev.baton.protocol.Suggestion;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.api.lowlevel.Compose;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;
import org.snakeyaml.engine.v2.nodes.MappingNode;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.NodeTuple;
import org.snakeyaml.engine.v2.nodes.ScalarNode;
import org.snakeyaml.engine.v2.nodes.SequenceNode;
import org.snakeyaml.engine.v2.nodes.Tag;

/**
 * A mapping of a YAML file, read key by key. Each reader method marks its key as known; {@link #done} then refuses the
 * others with their line and the nearest known key. Every fault names file and line.
 */
final class Yaml {
    private final String file;
    private final String path;
    private final Map<String, Node> values = new LinkedHashMap<>();
    private final Map<String, Integer> lines = new LinkedHashMap<>();
    private final Set<String> known = new LinkedHashSet<>();
    private final int line;

    private Yaml(String file, String path, Node node) {
        this.file = file;
        this.path = path;
        this.line = lineOf(node);
        if (!(node instanceof MappingNode mapping)) {
            throw fault(line, (path.isEmpty() ? "the file" : path) + " must be a mapping of keys");
        }
        for (NodeTuple tuple : mapping.getValue()) {
            String key = ((ScalarNode) tuple.getKeyNode()).getValue();
            if (values.put(key, tuple.getValueNode()) != null) {
                throw fault(lineOf(tuple.getKeyNode()), "key " + at(key) + " stands twice");
            }
            lines.put(key, lineOf(tuple.getKeyNode()));
        }
    }

    /** @throws LabException INVALID_CONFIG with the line where the text is not YAML */
    static Yaml parse(String file, String text) {
        try {
            Node root = new Compose(LoadSettings.builder().setLabel(file).build())
                    .composeString(text)
                    .orElseThrow(
                            () -> new LabException(LabException.Code.INVALID_CONFIG, file + ": the file is empty"));
            return new Yaml(file, "", root);
        } catch (YamlEngineException e) {
            throw new LabException(LabException.Code.INVALID_CONFIG, file + ": not YAML: " + e.getMessage(), e);
        }
    }

    boolean has(String key) {
        known.add(key);
        return values.containsKey(key);
    }

    String text(String key) {
        String value = text(key, null);
        if (value == null) {
            throw fault(line, "key '" + at(key) + "' is missing");
        }
        return value;
    }

    @Nullable
    String text(String key, @Nullable String otherwise) {
        known.add(key);
        Node node = values.get(key);
        return node == null ? otherwise : scalar(node, at(key)).toString();
    }

    int integer(String key, int otherwise, int least) {
        known.add(key);
        Node node = values.get(key);
        if (node == null) {
            return otherwise;
        }
        if (scalar(node, at(key)) instanceof Integer number && number >= least) {
            return number;
        }
        throw fault(
                lineOf(node),
                at(key) + " must be a whole number of at least " + least + ", not '" + scalar(node, at(key)) + "'");
    }

    double decimal(String key, double otherwise, double least) {
        known.add(key);
        Node node = values.get(key);
        if (node == null) {
            return otherwise;
        }
        if (scalar(node, at(key)) instanceof Number number && number.doubleValue() >= least) {
            return number.doubleValue();
        }
        throw fault(
                lineOf(node),
                at(key) + " must be a number of at least " + least + ", not '" + scalar(node, at(key)) + "'");
    }

    <E extends Enum<E>> E choice(String key, E otherwise) {
        known.add(key);
        Node node = values.get(key);
        if (node == null) {
            return otherwise;
        }
        String word = scalar(node, at(key)).toString();
        List<String> words = new ArrayList<>();
        for (E constant : otherwise.getDeclaringClass().getEnumConstants()) {
            words.add(constant.name().toLowerCase(java.util.Locale.ROOT));
            if (words.getLast().equals(word)) {
                return constant;
            }
        }
        throw fault(lineOf(node), at(key) + " must be one of " + String.join(", ", words) + ", not '" + word + "'");
    }

    /** A mapping below this one; null when the key is absent. */
    @Nullable
    Yaml child(String key) {
        known.add(key);
        Node node = values.get(key);
        return node == null ? null : new Yaml(file, at(key), node);
    }

    /** A list of mappings; empty when the key is absent. */
    List<Yaml> children(String key) {
        known.add(key);
        List<Yaml> children = new ArrayList<>();
        Node node = values.get(key);
        if (node == null) {
            return children;
        }
        if (!(node instanceof SequenceNode sequence)) {
            throw fault(lineOf(node), at(key) + " must be a list");
        }
        for (Node item : sequence.getValue()) {
            children.add(new Yaml(file, at(key) + "[" + children.size() + "]", item));
        }
        return children;
    }

    /** A list of texts; empty when the key is absent. */
    List<String> texts(String key) {
        known.add(key);
        Node node = values.get(key);
        List<String> texts = new ArrayList<>();
        if (node instanceof SequenceNode sequence) {
            sequence.getValue().forEach(item -> texts.add(scalar(item, at(key)).toString()));
        } else if (node != null) {
            texts.add(scalar(node, at(key)).toString());
        }
        return texts;
    }

    /** Every key of a mapping with its plain value: text, number, boolean or a list of these. */
    Map<String, Object> plain(String key) {
        known.add(key);
        Map<String, Object> map = new LinkedHashMap<>();
        Node node = values.get(key);
        if (node == null) {
            return map;
        }
        Yaml child = new Yaml(file, at(key), node);
        child.values.forEach((name, value) -> map.put(name, child.plainValue(name, value)));
        return map;
    }

    private Object plainValue(String key, Node node) {
        if (node instanceof SequenceNode sequence) {
            return sequence.getValue().stream()
                    .map(item -> scalar(item, at(key)))
                    .toList();
        }
        return scalar(node, at(key));
    }

    private Object scalar(Node node, String where) {
        if (!(node instanceof ScalarNode scalar)) {
            throw fault(lineOf(node), where + " must be a single value");
        }
        String value = scalar.getValue();
        Tag tag = scalar.getTag();
        try {
            if (tag.equals(Tag.INT)) {
                return Integer.valueOf(value);
            }
            if (tag.equals(Tag.FLOAT)) {
                return switch (value) {
                    case ".inf", "+.inf" -> Double.POSITIVE_INFINITY;
                    default -> Double.valueOf(value);
                };
            }
        } catch (NumberFormatException e) {
            throw fault(lineOf(node), where + ": '" + value + "' is not a number that fits");
        }
        return tag.equals(Tag.BOOL) ? Boolean.valueOf(value) : value;
    }

    /** Refuses keys that nothing has read. */
    void done() {
        for (Map.Entry<String, Integer> key : lines.entrySet()) {
            if (!known.contains(key.getKey())) {
                throw fault(
                        key.getValue(),
                        "unknown key '" + at(key.getKey()) + "'"
                                + Suggestion.of(key.getKey(), known)
                                        .map(s -> "; did you mean '" + s + "'?")
                                        .orElse("; known here: " + String.join(", ", known)));
            }
        }
    }

    /** A fault at the line of a key of this mapping. */
    LabException fault(String key, String message) {
        return fault(lines.getOrDefault(key, line), at(key) + ": " + message);
    }

    private LabException fault(int atLine, String message) {
        return new LabException(LabException.Code.INVALID_CONFIG, file + ":" + atLine + ": " + message);
    }

    private String at(String key) {
        return path.isEmpty() ? key : path + "." + key;
    }

    private static int lineOf(Node node) {
        return node.getStartMark().map(mark -> mark.getLine() + 1).orElse(0);
    }
}
