package dev.baton.engine.node;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** A growing little-endian buffer of numbers, arrays and texts. One thread. */
public final class WireBuffer {
    private ByteBuffer bytes;

    /** To write into. */
    public WireBuffer() {
        this(ByteBuffer.allocate(4096));
    }

    /** To read from. */
    public WireBuffer(ByteBuffer bytes) {
        this.bytes = bytes.order(ByteOrder.LITTLE_ENDIAN);
    }

    /** What has been written. */
    public ByteBuffer written() {
        return bytes.duplicate().order(ByteOrder.LITTLE_ENDIAN).flip();
    }

    private ByteBuffer room(int more) {
        if (bytes.remaining() < more) {
            ByteBuffer larger = ByteBuffer.allocate(Math.max(bytes.capacity() * 2, bytes.position() + more))
                    .order(ByteOrder.LITTLE_ENDIAN);
            bytes = larger.put(bytes.flip());
        }
        return bytes;
    }

    public void putByte(int value) {
        room(1).put((byte) value);
    }

    public void putBoolean(boolean value) {
        putByte(value ? 1 : 0);
    }

    public void putInt(int value) {
        room(4).putInt(value);
    }

    public void putLong(long value) {
        room(8).putLong(value);
    }

    public void putFloat(float value) {
        room(4).putFloat(value);
    }

    public void putInts(int[] values) {
        putInt(values.length);
        room(4 * values.length).asIntBuffer().put(values);
        bytes.position(bytes.position() + 4 * values.length);
    }

    public void putLongs(long[] values) {
        putInt(values.length);
        room(8 * values.length).asLongBuffer().put(values);
        bytes.position(bytes.position() + 8 * values.length);
    }

    public void putText(String value) {
        byte[] utf8 = value.getBytes(StandardCharsets.UTF_8);
        putInt(utf8.length);
        room(utf8.length).put(utf8);
    }

    /** A count and bytes, which are not consumed. */
    public void putBytes(ByteBuffer value) {
        putInt(value.remaining());
        room(value.remaining()).put(value.duplicate());
    }

    /** A count and the elements. */
    public <T> void putList(List<T> values, Consumer<T> element) {
        putInt(values.size());
        values.forEach(element);
    }

    /** A flag, and the value when there is one. */
    public <T> void putNullable(@Nullable T value, Consumer<T> writer) {
        putBoolean(value != null);
        if (value != null) {
            writer.accept(value);
        }
    }

    public int byteValue() {
        return bytes.get();
    }

    public boolean booleanValue() {
        return bytes.get() != 0;
    }

    public int intValue() {
        return bytes.getInt();
    }

    public long longValue() {
        return bytes.getLong();
    }

    public float floatValue() {
        return bytes.getFloat();
    }

    /** A count of things of at least so many bytes each, which must still be there. */
    private int count(int bytesEach) {
        int count = bytes.getInt();
        if (count < 0 || (long) count * bytesEach > bytes.remaining()) {
            throw new IllegalStateException(
                    "a message that is cut off: " + count + " elements in " + bytes.remaining() + " bytes");
        }
        return count;
    }

    public int[] ints() {
        int[] values = new int[count(4)];
        bytes.asIntBuffer().get(values);
        bytes.position(bytes.position() + 4 * values.length);
        return values;
    }

    public long[] longs() {
        long[] values = new long[count(8)];
        bytes.asLongBuffer().get(values);
        bytes.position(bytes.position() + 8 * values.length);
        return values;
    }

    public String text() {
        byte[] utf8 = new byte[count(1)];
        bytes.get(utf8);
        return new String(utf8, StandardCharsets.UTF_8);
    }

    public ByteBuffer bytes() {
        int length = count(1);
        ByteBuffer part = bytes.slice(bytes.position(), length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.position(bytes.position() + length);
        return part;
    }

    public <T> List<T> list(Supplier<T> element) {
        int count = count(0);
        List<T> values = new ArrayList<>(Math.min(count, 1024));
        for (int i = 0; i < count; i++) {
            values.add(element.get());
        }
        return values;
    }

    public <T> @Nullable T nullable(Supplier<T> reader) {
        return booleanValue() ? reader.get() : null;
    }
}
