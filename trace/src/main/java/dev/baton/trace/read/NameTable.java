package dev.baton.trace.read;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Names of events, each kept once; ids count from 0. */
public final class NameTable {
    private final List<String> names = new ArrayList<>();
    private byte[][] raw = new byte[1024][];
    private int[] slots = new int[4096];

    NameTable() {
        Arrays.fill(slots, -1);
    }

    /** The id of the JSON string text {@code b[from, to)}. */
    int id(byte[] b, int from, int to) {
        int hash = 0;
        for (int i = from; i < to; i++) {
            hash = 31 * hash + b[i];
        }
        int mask = slots.length - 1;
        int slot = (hash ^ hash >>> 15) & mask;
        while (slots[slot] >= 0) {
            byte[] known = raw[slots[slot]];
            if (Arrays.equals(known, 0, known.length, b, from, to)) {
                return slots[slot];
            }
            slot = slot + 1 & mask;
        }
        return add(slot, Arrays.copyOfRange(b, from, to));
    }

    /** The id of a name that does not come from JSON. */
    int id(String name) {
        byte[] bytes = name.replace("\\", "\\\\").getBytes(java.nio.charset.StandardCharsets.UTF_8);
        return id(bytes, 0, bytes.length);
    }

    /** The id here of a name of another table. */
    int idOf(NameTable other, int id) {
        return id(other.raw[id], 0, other.raw[id].length);
    }

    private int add(int slot, byte[] bytes) {
        int id = names.size();
        names.add(Json.text(bytes, 0, bytes.length));
        if (id == raw.length) {
            raw = Arrays.copyOf(raw, 2 * id);
        }
        raw[id] = bytes;
        slots[slot] = id;
        if (3 * id > 2 * slots.length) {
            grow();
        }
        return id;
    }

    private void grow() {
        int[] larger = new int[2 * slots.length];
        Arrays.fill(larger, -1);
        int mask = larger.length - 1;
        for (int id = 0; id < names.size(); id++) {
            int hash = 0;
            for (byte c : raw[id]) {
                hash = 31 * hash + c;
            }
            int slot = (hash ^ hash >>> 15) & mask;
            while (larger[slot] >= 0) {
                slot = slot + 1 & mask;
            }
            larger[slot] = id;
        }
        slots = larger;
    }

    /** The name with that id. */
    public String name(int id) {
        return names.get(id);
    }

    /** Names with bytes that are not UTF-8. */
    long illegible() {
        return names.stream().filter(n -> n.indexOf('\ufffd') >= 0).count();
    }

    /** How many there are. */
    public int size() {
        return names.size();
    }
}
