package dev.baton.trace.expert;

import dev.baton.trace.TraceException;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Enumeration;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.jspecify.annotations.Nullable;

/**
 * Reads what {@code torch.save} wrote, without torch: a zip that holds a pickle and the raw storages. The pickle is
 * interpreted as data only: whatever class it names is never made, so nothing in the file can run.
 */
public final class TorchFile {
    private static final int MOST_BYTES = 1 << 30;
    private static final int MOST_ELEMENTS = 1 << 27;
    private static final Object MARK = new Object();

    /**
     * A tensor of whole or real numbers.
     *
     * @param shape sizes
     * @param values row major
     */
    public record Tensor(int[] shape, double[] values) {}

    /** A class, function or object that is not made: only its name is kept. */
    private record Named(String name) {}

    /** A storage: element type and entry of the zip. */
    private record Storage(String type, String key) {}

    private final ZipFile zip;
    private final String prefix;
    private final List<Object> stack = new ArrayList<>();
    private final Map<Integer, Object> memo = new HashMap<>();

    private TorchFile(ZipFile zip, String prefix) {
        this.zip = zip;
        this.prefix = prefix;
    }

    /**
     * The object in the file: maps, lists, strings, numbers, {@link Tensor}s; null for None.
     *
     * @throws TraceException IO when it cannot be opened, MALFORMED when it is no such file
     */
    public static @Nullable Object read(Path file) {
        try (ZipFile zip = new ZipFile(file.toFile())) {
            ZipEntry pickle = pickle(zip);
            String name = pickle.getName();
            TorchFile reader = new TorchFile(zip, name.substring(0, name.length() - "data.pkl".length()));
            try (InputStream in = zip.getInputStream(pickle)) {
                return reader.run(new DataInputStream(new java.io.BufferedInputStream(in)));
            }
        } catch (IOException e) {
            throw new TraceException(
                    TraceException.Code.IO,
                    "cannot read " + file + " as a torch file (a zip with a pickle): " + e.getMessage(),
                    e);
        } catch (RuntimeException e) {
            // A pickle is a program for a stack machine: a damaged one can fail in any way that a wrong operand can.
            throw new TraceException(
                    TraceException.Code.MALFORMED, file + " holds a pickle that is damaged or of an unknown form", e);
        }
    }

    private static ZipEntry pickle(ZipFile zip) throws IOException {
        for (Enumeration<? extends ZipEntry> all = zip.entries(); all.hasMoreElements(); ) {
            ZipEntry entry = all.nextElement();
            if (entry.getName().endsWith("data.pkl")) {
                return entry;
            }
        }
        throw new IOException("there is no data.pkl in it");
    }

    private @Nullable Object run(DataInputStream in) throws IOException {
        while (true) {
            int op = in.readUnsignedByte();
            switch (op) {
                case '.' -> {
                    Object value = stack.getLast();
                    return value == None.NONE ? null : value;
                }
                case 0x80 -> in.readUnsignedByte();
                case 0x95 -> in.skipNBytes(8);
                case '(' -> stack.add(MARK);
                case '0' -> stack.removeLast();
                case 'N' -> stack.add(None.NONE);
                case 0x88, 0x89 -> stack.add(op == 0x88);
                case '}' -> stack.add(new LinkedHashMap<>());
                case ']' -> stack.add(new ArrayList<>());
                case ')' -> stack.add(List.of());
                case 'q' -> memo.put(in.readUnsignedByte(), stack.getLast());
                case 'r' -> memo.put(little(in, 4), stack.getLast());
                case 0x94 -> memo.put(memo.size(), stack.getLast());
                case 'h' -> stack.add(memoised(in.readUnsignedByte()));
                case 'j' -> stack.add(memoised(little(in, 4)));
                case 'K' -> stack.add((long) in.readUnsignedByte());
                case 'M' -> stack.add((long) little(in, 2));
                case 'J' -> stack.add((long) little(in, 4));
                case 0x8a -> stack.add(longOf(in.readNBytes(in.readUnsignedByte())));
                case 'G' -> stack.add(in.readDouble());
                case 'X' -> stack.add(text(in, little(in, 4)));
                case 0x8c -> stack.add(text(in, in.readUnsignedByte()));
                case 'c' -> stack.add(new Named(line(in) + "." + line(in)));
                case 0x93 -> {
                    Object name = stack.removeLast();
                    stack.add(new Named(stack.removeLast() + "." + name));
                }
                case 't' -> stack.add(List.copyOf(sinceMark()));
                case 0x85, 0x86, 0x87 -> tuple(op - 0x84);
                case 'Q' -> stack.add(storage(stack.removeLast()));
                case 'R', 0x81 -> reduce();
                case 'b' -> stack.removeLast();
                case 's' -> {
                    Object value = stack.removeLast();
                    Object key = stack.removeLast();
                    map(stack.getLast()).put(key, value);
                }
                case 'u' -> {
                    List<Object> items = sinceMark();
                    for (int i = 0; i + 1 < items.size(); i += 2) {
                        map(stack.getLast()).put(items.get(i), items.get(i + 1));
                    }
                }
                case 'a' -> {
                    Object value = stack.removeLast();
                    list(stack.getLast()).add(value);
                }
                case 'e' -> {
                    List<Object> items = sinceMark();
                    list(stack.getLast()).addAll(items);
                }
                default -> throw new IllegalArgumentException("pickle operation 0x" + Integer.toHexString(op));
            }
        }
    }

    private enum None {
        NONE
    }

    private Object memoised(int key) {
        Object value = memo.get(key);
        if (value == null) {
            throw new IllegalArgumentException("no memo " + key);
        }
        return value;
    }

    private List<Object> sinceMark() {
        int at = stack.lastIndexOf(MARK);
        List<Object> items = new ArrayList<>(stack.subList(at + 1, stack.size()));
        stack.subList(at, stack.size()).clear();
        return items;
    }

    private void tuple(int length) {
        List<Object> items = new ArrayList<>(stack.subList(stack.size() - length, stack.size()));
        stack.subList(stack.size() - length, stack.size()).clear();
        stack.add(List.copyOf(items));
    }

    @SuppressWarnings("unchecked")
    private static Map<Object, Object> map(Object value) {
        return (Map<Object, Object>) value;
    }

    @SuppressWarnings("unchecked")
    private static List<Object> list(Object value) {
        return (List<Object>) value;
    }

    private static Object storage(Object persistentId) {
        List<Object> id = list(persistentId);
        return new Storage(((Named) id.get(1)).name(), (String) id.get(2));
    }

    /** A call: tensors and dictionaries are built, everything else stays a name. */
    private void reduce() throws IOException {
        Object arguments = stack.removeLast();
        Object callee = stack.removeLast();
        String name = callee instanceof Named named ? named.name() : "";
        if (name.startsWith("torch._utils._rebuild_tensor")) {
            List<Object> a = list(arguments);
            stack.add(tensor((Storage) a.get(0), (Long) a.get(1), list(a.get(2)), list(a.get(3))));
        } else if (name.equals("collections.OrderedDict") || name.equals("builtins.dict")) {
            stack.add(new LinkedHashMap<>());
        } else {
            stack.add(new Named(name));
        }
    }

    private Tensor tensor(Storage storage, long offset, List<Object> size, List<Object> stride) throws IOException {
        int[] shape = size.stream().mapToInt(s -> Math.toIntExact((Long) s)).toArray();
        long[] strides = stride.stream().mapToLong(s -> (Long) s).toArray();
        int total = 1;
        for (int s : shape) {
            total = Math.multiplyExact(total, s);
        }
        if (total > MOST_ELEMENTS) {
            throw new IllegalArgumentException("a tensor of " + total + " elements");
        }
        ByteBuffer raw = storageBytes(storage);
        double[] values = new double[total];
        int[] index = new int[shape.length];
        for (int i = 0; i < total; i++) {
            long at = offset;
            for (int d = 0; d < shape.length; d++) {
                at += index[d] * strides[d];
            }
            values[i] = element(raw, storage.type(), Math.toIntExact(at));
            for (int d = shape.length - 1; d >= 0 && ++index[d] == shape[d]; d--) {
                index[d] = 0;
            }
        }
        return new Tensor(shape, values);
    }

    private ByteBuffer storageBytes(Storage storage) throws IOException {
        ZipEntry entry = zip.getEntry(prefix + "data/" + storage.key());
        if (entry == null || entry.getSize() > MOST_BYTES) {
            throw new IOException("storage " + storage.key() + " is missing or longer than 1 GiB");
        }
        ZipEntry order = zip.getEntry(prefix + "byteorder");
        boolean isBig = false;
        if (order != null) {
            try (InputStream in = zip.getInputStream(order)) {
                isBig = new String(in.readNBytes(16), StandardCharsets.US_ASCII).startsWith("big");
            }
        }
        try (InputStream in = zip.getInputStream(entry)) {
            return ByteBuffer.wrap(in.readAllBytes()).order(isBig ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN);
        }
    }

    private static double element(ByteBuffer raw, String type, int at) {
        return switch (type.substring(type.lastIndexOf('.') + 1)) {
            case "LongStorage" -> raw.getLong(8 * at);
            case "IntStorage" -> raw.getInt(4 * at);
            case "ShortStorage" -> raw.getShort(2 * at);
            case "ByteStorage" -> raw.get(at) & 0xff;
            case "FloatStorage" -> raw.getFloat(4 * at);
            case "DoubleStorage" -> raw.getDouble(8 * at);
            case "HalfStorage" -> Float.float16ToFloat(raw.getShort(2 * at));
            case "BFloat16Storage" -> Float.intBitsToFloat(raw.getShort(2 * at) << 16);
            default -> throw new IllegalArgumentException("storage type " + type);
        };
    }

    private static int little(DataInputStream in, int bytes) throws IOException {
        int value = 0;
        for (int i = 0; i < bytes; i++) {
            value |= in.readUnsignedByte() << 8 * i;
        }
        return value;
    }

    private static long longOf(byte[] little) {
        long value = 0;
        for (int i = Math.min(8, little.length) - 1; i >= 0; i--) {
            value = value << 8 | little[i] & 0xff;
        }
        return little.length > 0 && little.length < 8 && little[little.length - 1] < 0
                ? value - (1L << 8 * little.length)
                : value;
    }

    private static String text(DataInputStream in, int length) throws IOException {
        if (length < 0 || length > 16 << 20) {
            throw new IllegalArgumentException("a string of " + length + " bytes");
        }
        return new String(in.readNBytes(length), StandardCharsets.UTF_8);
    }

    private static String line(DataInputStream in) throws IOException {
        StringBuilder text = new StringBuilder();
        for (int c = in.readUnsignedByte(); c != '\n'; c = in.readUnsignedByte()) {
            text.append((char) c);
        }
        return text.toString();
    }
}
