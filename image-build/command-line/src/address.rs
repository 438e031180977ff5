//! The word `ip=`: an address with its prefix as urunc gives it, or Linux's fields with colons between them.
//!
//! Linux's: Documentation/admin-guide/nfs/nfsroot.rst.

use crate::number::number;

/// What an `ip=` says; what it does not is empty.
pub struct Address<'a> {
    /// The machine's address; none where it is to be asked for. Whom, in which of Linux's ways, is DHCP to us.
    pub own: &'a [u8],
    /// The default route.
    pub gateway: &'a [u8],
    /// Name servers; if there is one, it comes first.
    pub servers: [&'a [u8]; 2],
    mask: &'a [u8],
}

impl<'a> Address<'a> {
    pub fn read(value: &'a [u8]) -> Self {
        let mut fields: [&[u8]; 9] = [b""; 9];
        fields.iter_mut().zip(value.split(|byte| *byte == b':')).for_each(|(place, field)| *place = field);
        let [own, _server, gateway, mask, _host, _card, how, one, other] = fields;
        let servers = if one.is_empty() { [other, one] } else { [one, other] };
        // `ip=dhcp` alone says how.
        let is_word = own.first().is_some_and(u8::is_ascii_alphabetic);
        let is_given = !is_word && own != b"0.0.0.0" && matches!(how, b"" | b"off" | b"none");
        Self { own: if is_given { own } else { b"" }, gateway, servers, mask }
    }

    /// The length of the prefix that its mask means. What is no mask is left as it is: the program says so.
    pub fn prefix<'p>(&self, digits: &'p mut [u8; 2]) -> &'p [u8]
    where
        'a: 'p,
    {
        if self.own.is_empty() {
            return b"";
        }
        let Some(bits) = mask_bits(self.mask) else { return self.mask };
        *digits = [b'0' + bits / 10, b'0' + bits % 10];
        match digits {
            [b'0', one] => core::slice::from_ref(one),
            both => both,
        }
    }
}

/// How many bits are set in a mask such as 255.255.255.0, if they come first.
fn mask_bits(mask: &[u8]) -> Option<u8> {
    let (mut bits, mut count) = (0_u32, 0);
    for part in mask.split(|byte| *byte == b'.') {
        bits = bits << 8 | number(part).filter(|number| *number < 256)?;
        count += 1;
    }
    let ones = bits.leading_ones();
    (count == 4 && ones + bits.trailing_zeros() == u32::BITS).then_some(ones as u8)
}
