//! The arguments of notifications and timers.

use crate::{CapSlot, Deadline, Error, Registers};

/// The shortest period of a timer, in nanoseconds: a tenth of a slice. Each signal of a timer is an
/// interrupt on some CPU, which costs more than a shorter period would be worth.
pub const LEAST_PERIOD_NS: u64 = 100_000;

fn decode_bits(bits: u64) -> Result<u64, Error> {
    if bits == 0 { Err(Error::InvalidArgument) } else { Ok(bits) }
}

/// [`Syscall::NotificationSignal`](crate::Syscall::NotificationSignal). Needs `SEND` on the
/// notification, and all of the bits in its capability's badge where that has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotificationSignal {
    /// The notification.
    pub notification: CapSlot,
    /// What is added to its word; not 0.
    pub bits: u64,
}

impl NotificationSignal {
    /// Into registers.
    pub fn encode(&self) -> Registers {
        Registers::control([self.notification.bits(), self.bits, 0, 0])
    }

    /// From registers.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] without a bit.
    pub fn decode(registers: &Registers) -> Result<Self, Error> {
        let [notification, bits, ..] = registers.control;
        Ok(Self { notification: CapSlot::from_bits(notification), bits: decode_bits(bits)? })
    }
}

/// [`Syscall::NotificationWait`](crate::Syscall::NotificationWait). Gives the bits in control word
/// 0. Needs `RECEIVE` on the notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotificationWait {
    /// The notification.
    pub notification: CapSlot,
    /// How long to wait.
    pub deadline: Deadline,
}

impl NotificationWait {
    /// Into registers.
    pub fn encode(&self) -> Registers {
        Registers::control([self.notification.bits(), self.deadline.bits(), 0, 0])
    }

    /// From registers.
    pub fn decode(registers: &Registers) -> Self {
        let [notification, deadline, ..] = registers.control;
        Self {
            notification: CapSlot::from_bits(notification),
            deadline: Deadline::from_bits(deadline),
        }
    }
}

/// [`Syscall::TimerCreate`](crate::Syscall::TimerCreate). Gives the Timer capability in control
/// word 0. Needs on the notification what signalling these bits needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerCreate {
    /// The notification that it signals.
    pub notification: CapSlot,
    /// By these bits; not 0.
    pub bits: u64,
}

impl TimerCreate {
    /// Into registers.
    pub fn encode(&self) -> Registers {
        Registers::control([self.notification.bits(), self.bits, 0, 0])
    }

    /// From registers.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] without a bit.
    pub fn decode(registers: &Registers) -> Result<Self, Error> {
        let [notification, bits, ..] = registers.control;
        Ok(Self { notification: CapSlot::from_bits(notification), bits: decode_bits(bits)? })
    }
}

/// [`Syscall::TimerSet`](crate::Syscall::TimerSet). Gives in control word 0 when the timer would
/// have fired next, `u64::MAX` where it was not armed. Needs `MANAGE` on the timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerSet {
    /// The timer.
    pub timer: CapSlot,
    /// When it fires, in nanoseconds since boot; at once where that has passed, and never where it
    /// is `u64::MAX`.
    pub deadline: u64,
    /// After how many nanoseconds it fires again and again, at least [`LEAST_PERIOD_NS`]; 0 for a
    /// timer that fires once.
    pub period: u64,
}

impl TimerSet {
    /// Into registers.
    pub fn encode(&self) -> Registers {
        Registers::control([self.timer.bits(), self.deadline, self.period, 0])
    }

    /// From registers.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a period that is too short.
    pub fn decode(registers: &Registers) -> Result<Self, Error> {
        let [timer, deadline, period, _] = registers.control;
        if (1..LEAST_PERIOD_NS).contains(&period) {
            return Err(Error::InvalidArgument);
        }
        Ok(Self { timer: CapSlot::from_bits(timer), deadline, period })
    }
}

/// [`Syscall::SystemLogBind`](crate::Syscall::SystemLogBind). Needs `LOG_READ` on the system, and on the notification
/// what signalling these bits needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemLogBind {
    /// The system.
    pub system: CapSlot,
    /// The notification that new lines signal from now on in place of any other; null for none.
    pub notification: CapSlot,
    /// By these bits; not 0, but without a notification.
    pub bits: u64,
}

impl SystemLogBind {
    /// Into registers.
    pub fn encode(&self) -> Registers {
        Registers::control([self.system.bits(), self.notification.bits(), self.bits, 0])
    }

    /// From registers.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a notification without a bit, and for bits without a notification.
    pub fn decode(registers: &Registers) -> Result<Self, Error> {
        let [system, notification, bits, _] = registers.control;
        if (notification == 0) != (bits == 0) {
            return Err(Error::InvalidArgument);
        }
        let [system, notification] = [system, notification].map(CapSlot::from_bits);
        Ok(Self { system, notification, bits })
    }
}
