package dev.baton.lab.workload;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import dev.baton.lab.LabException;
import java.util.Arrays;
import java.util.stream.Collectors;

/** The data sets of {@code --dataset-name}. */
public enum DatasetName {
    /** Conversations of a local ShareGPT file. */
    SHAREGPT("sharegpt"),
    /** Prompts of random tokens, sent as text where the tokenizer is known. */
    RANDOM("random"),
    /** Prompts of consecutive ids from a random offset, sent as ids where no tokenizer is known. */
    RANDOM_IDS("random-ids"),
    /** Groups of prompts that share a system prompt. */
    GENERATED_SHARED_PREFIX("generated-shared-prefix");

    private final String wire;

    DatasetName(String wire) {
        this.wire = wire;
    }

    /** The flag's value. */
    @JsonValue
    public String wire() {
        return wire;
    }

    /** The data set of a flag's value. */
    @JsonCreator
    public static DatasetName of(String wire) {
        for (DatasetName name : values()) {
            if (name.wire.equals(wire)) {
                return name;
            }
        }
        throw new LabException(
                LabException.Code.INVALID_CONFIG,
                "dataset_name '" + wire + "' is not one of "
                        + Arrays.stream(values()).map(DatasetName::wire).collect(Collectors.joining(", ")));
    }

    @Override
    public String toString() {
        return wire;
    }
}
