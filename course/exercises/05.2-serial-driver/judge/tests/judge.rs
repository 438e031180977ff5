//! The judge of exercise 05.2: a model of a 16550 UART, which loses what a real one loses.

use exercise_05_2::{COM1, POLLS_MAX, Ports, Serial};

/// Reads of the line status that one byte takes to leave.
const READS_PER_BYTE: u32 = 3;
const QUEUE_BYTES: usize = 16;
/// Bit 5 and bit 6 of the line status: the queue is empty.
const EMPTY: u8 = 0x60;

/// The device, and what became of the bytes.
#[derive(Default)]
struct Uart {
    divisor: [u8; 2],
    line_control: u8,
    interrupts: Option<u8>,
    has_queue: bool,
    queue: Vec<u8>,
    sent: Vec<u8>,
    lost: usize,
    reads: u32,
    reads_in_a_row: u32,
    is_stuck: bool,
}

impl Ports for &mut Uart {
    fn read(&mut self, port: u16) -> u8 {
        assert!(
            port == COM1 + 5,
            "expected reads of the line status, port {:#x}; came one of {port:#x}",
            COM1 + 5
        );
        self.reads += 1;
        self.reads_in_a_row += 1;
        assert!(
            self.reads_in_a_row <= 2 * POLLS_MAX,
            "expected at most {POLLS_MAX} questions for room: a line that nobody reads must not stop the machine; \
             came more than {}",
            2 * POLLS_MAX
        );
        if !self.is_stuck && !self.queue.is_empty() && self.reads.is_multiple_of(READS_PER_BYTE) {
            let byte = self.queue.remove(0);
            self.sent.push(byte);
        }
        if self.queue.is_empty() { EMPTY } else { 0 }
    }

    fn write(&mut self, port: u16, value: u8) {
        self.reads_in_a_row = 0;
        let is_divisor = self.line_control & 0x80 != 0;
        match port.wrapping_sub(COM1) {
            0 if is_divisor => self.divisor[0] = value,
            1 if is_divisor => self.divisor[1] = value,
            0 if self.queue.len() < if self.has_queue { QUEUE_BYTES } else { 1 } => self.queue.push(value),
            0 => self.lost += 1,
            1 => self.interrupts = Some(value),
            2 => self.has_queue = value & 1 != 0,
            3 => self.line_control = value,
            4 => {}
            _ => panic!("expected writes to the ports 0 to 4 of the device; came one to {port:#x}"),
        }
    }
}

#[test]
fn a_the_port_is_set_up() {
    for (baud, divisor) in [(9600, 12), (115_200, 1), (110, 1047)] {
        let mut uart = Uart::default();
        Serial::open(&mut uart, baud);
        let came = u16::from_le_bytes(uart.divisor);
        assert!(came == divisor, "expected the divisor {divisor} for {baud} baud; came {came}");
        let control = uart.line_control;
        assert!(
            control & 0x80 == 0,
            "expected data at port 0 after setting up, but it is the divisor as long as bit 7 of line control is set; \
             came line control {control:#04x}"
        );
        assert!(
            control == 3,
            "expected line control 0x03 (8 bits, no parity, one stop bit); came {control:#04x}"
        );
        let interrupts = uart.interrupts;
        assert!(interrupts == Some(0), "expected 0 at port 1, no interrupts; came {interrupts:?}");
        assert!(uart.has_queue, "expected bit 0 at port 2, the queue is used; came a device without one");
    }
}

#[test]
fn b_every_byte_arrives() {
    let text: Vec<u8> = (0..100).collect();
    let mut uart = Uart::default();
    let said = Serial::open(&mut uart, 115_200).send(&text);
    let lost = uart.lost;
    assert!(
        lost == 0,
        "expected no lost byte: a byte that is written to a full queue is lost; came {lost} lost of 100"
    );
    assert!(
        said == 100,
        "expected 100 bytes sent over a line that is read (room is bit 5 of the line status; bit 0 says that a byte \
         was received); came {said}"
    );
    let arrived: Vec<u8> = uart.sent.iter().chain(&uart.queue).copied().collect();
    assert!(arrived == text, "expected the bytes 0 to 99 in order; came {arrived:?}");
}

#[test]
fn c_a_line_that_nobody_reads_is_given_up() {
    let mut uart = Uart { is_stuck: true, ..Uart::default() };
    let said = Serial::open(&mut uart, 115_200).send(&[7; 100]);
    let taken = uart.queue.len();
    assert!(
        said == taken,
        "expected the number of bytes that were taken ({taken}) from a line that is stuck; came {said}"
    );
    let reads = uart.reads;
    assert!(reads >= POLLS_MAX, "expected {POLLS_MAX} questions before it is given up; came {reads}");
}
